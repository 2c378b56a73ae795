"""The addresses of the app's pages."""

from django.urls import URLPattern, path

from apexrest import pages

app_name = "apexrest_pages"
urlpatterns: list[URLPattern] = [
    path("docs/", pages.documentation, name="documentation"),
    path("docs/openapi/<str:version>.json", pages.openapi_document, name="openapi"),
    path("docs/<str:version>/", pages.document, name="document"),
    path("api-endpoints/", pages.endpoints, name="endpoints"),
    path("api-endpoints/calls/<uuid:entry_id>/test/", pages.call_as_test, name="test"),
    path("api-endpoints/<path:mapping>", pages.endpoint, name="endpoint"),
]
