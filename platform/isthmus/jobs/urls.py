"""The app's addresses."""

from django.urls import URLPattern, path

from isthmus.jobs import views

app_name = "jobs"
urlpatterns: list[URLPattern] = [
    path("", views.jobs, name="list"),
    path("schedules/", views.schedules, name="schedules"),
    path("schedules/<int:schedule_id>/run/", views.run_schedule, name="run-schedule"),
    path("<uuid:job_id>/", views.detail, name="detail"),
    path("<uuid:job_id>/abort/", views.abort, name="abort"),
    path("<uuid:job_id>/retry/", views.retry, name="retry"),
    path("<uuid:job_id>/retry-failed/", views.retry_failed, name="retry-failed"),
]
