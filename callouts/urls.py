"""The app's addresses."""

from django.urls import URLPattern, URLResolver, include, path

from callouts import views

app_name = "callouts"
urlpatterns: list[URLPattern | URLResolver] = [
    path("integration-log/", views.log, name="log"),
    path("integration-log/<uuid:entry_id>/", views.entry, name="entry"),
    path("external-services/", include("callouts.external_services.urls")),
]
