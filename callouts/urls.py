"""The app's addresses, and those of the external services above it."""

from django.urls import URLPattern, URLResolver, include, path

from callouts import credential_views, views

_integration_log: list[URLPattern] = [
    path("", views.log, name="log"),
    path("<uuid:entry_id>/", views.entry, name="entry"),
    path("<uuid:entry_id>/resolve/", views.resolve, name="resolve"),
]
_credentials: list[URLPattern] = [
    path("", credential_views.credentials, name="list"),
    path("<str:name>/", credential_views.credential, name="detail"),
    path("<str:name>/destination/", credential_views.destination, name="destination"),
]
urlpatterns: list[URLPattern | URLResolver] = [
    path("integration-log/", include((_integration_log, "callouts"))),
    path("named-credentials/", include((_credentials, "named_credentials"))),
    path("external-services/", include("callouts.external_services.urls")),
    path("queued-callouts/", include("callouts.queue.urls")),
]
