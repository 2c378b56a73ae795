"""The addresses of the app's pages."""

from django.urls import URLPattern, path

from records import pages

app_name = "records_pages"
urlpatterns: list[URLPattern] = [
    path("explorer/", pages.explorer, name="explorer"),
    path("explorer/query.csv", pages.download, name="download"),
    path("explorer/objects/<str:name>/fields.json", pages.fields, name="fields"),
    path("explorer/objects/<str:name>/describe.json", pages.describe, name="describe"),
    path("explorer/<str:name>/<str:record_id>/", pages.record, name="record"),
]
