"""The app's addresses, and those of the external services above it."""

from django.urls import URLPattern, URLResolver, include, path

from callouts import views

_integration_log: list[URLPattern] = [
    path("", views.log, name="log"),
    path("<uuid:entry_id>/", views.entry, name="entry"),
]
urlpatterns: list[URLPattern | URLResolver] = [
    path("integration-log/", include((_integration_log, "callouts"))),
    path("external-services/", include("callouts.external_services.urls")),
]
