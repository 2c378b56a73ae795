"""The app's addresses."""

from django.urls import URLPattern, path, re_path

from callouts.external_services.screens import operating_views, operation_views, version_views, views

app_name = "external_services"
urlpatterns: list[URLPattern] = [
    path("", views.services, name="list"),
    path("invocations/", views.invocations, name="invocations"),
    path("invocations/<uuid:invocation_id>/", views.invocation, name="invocation"),
    re_path(
        r"^invocations/(?P<invocation_id>[0-9a-f-]{36})/(?P<what>cancel|extend|simulate)/$",
        operating_views.act,
        name="act",
    ),
    path("callbacks/", views.receipts, name="receipts"),
    path("callbacks/<uuid:receipt_id>/", views.receipt, name="receipt"),
    path("callbacks/<uuid:receipt_id>/route/", operating_views.route, name="route"),
    path("services/<slug:name>/", views.service, name="service"),
    path("services/<slug:name>/connect/", version_views.connect_service, name="connect"),
    path("services/<slug:name>/versions/<int:number>/", version_views.version, name="version"),
    path("services/<slug:name>/versions/<int:number>/activate/", version_views.switch, name="activate"),
    path("services/<slug:name>/versions/<int:number>/source/<int:pk>/", version_views.source, name="source"),
    path("services/<slug:name>/operations/<slug:operation_name>/", operation_views.operation, name="operation"),
]
