"""The app's addresses."""

from django.urls import URLPattern, path

from callouts.external_services import views

app_name = "external_services"
urlpatterns: list[URLPattern] = [
    path("", views.services, name="list"),
    path("invocations/", views.invocations, name="invocations"),
    path("invocations/<uuid:invocation_id>/", views.invocation, name="invocation"),
    path("callbacks/", views.receipts, name="receipts"),
    path("callbacks/<uuid:receipt_id>/", views.receipt, name="receipt"),
    path("services/<slug:name>/", views.service, name="service"),
]
