"""The app's addresses."""

from django.urls import URLPattern, path

from isthmus.console import (
    bulk_views,
    connection_views,
    explain_view,
    health_views,
    limit_views,
    listing_views,
    live_streams,
    views,
)

app_name = "console"
urlpatterns: list[URLPattern] = [
    path("", views.home, name="home"),
    path("sign-in/", views.SignIn.as_view(), name="login"),
    path("sign-out/", views.SignOut.as_view(), name="logout"),
    path("connections/", connection_views.connections, name="connections"),
    path("limits/", limit_views.limits, name="limits"),
    path("search/", views.search, name="search"),
    path("live/", live_streams.live, name="live"),
    path("demo-data/", views.demo_data, name="demo-data"),
    path("access/why/", explain_view.why, name="why"),
    path("timeline-bundle/<path:reference>", views.time_line_bundle, name="time-line-bundle"),
    path("timeline/<path:reference>", views.time_line, name="time-line"),
    path("bulk/<slug:name>/", bulk_views.preview, name="bulk"),
    path("bulk-operations/<uuid:operation_id>/", bulk_views.operation, name="bulk-operation"),
    path("api/console/", listing_views.ListingsView.as_view(), name="listings"),
    path("api/console/<slug:name>", listing_views.ListingView.as_view(), name="listing"),
    path("healthz", health_views.healthz, name="healthz"),
    path("readyz", health_views.readyz, name="readyz"),
    path("metrics", health_views.metrics, name="metrics"),
]
