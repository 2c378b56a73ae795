"""The app's addresses."""

from django.urls import re_path

from callouts.callbacks import views

app_name = "callbacks"

urlpatterns = [
    re_path(r"^(?P<token>[^/]+)(?:/(?P<name>[^/]*)(?P<rest>(?:/.*)?))?$", views.receive, name="receive"),
]
