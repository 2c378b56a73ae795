"""Every address of the platform: one line for each app that has any."""

from django.contrib import admin
from django.urls import URLPattern, URLResolver, include, path, re_path

from isthmus.access.oauth.views import no_such_resource

urlpatterns: list[URLPattern | URLResolver] = [
    path("admin/", admin.site.urls),
    path("", include("isthmus.access.oauth.urls")),
    path("services/apexrest/", include("apexrest.urls")),
    re_path(r"^services/data(?=/|$)", include("records.urls")),
    path("services/callbacks/", include("callouts.callbacks.urls")),
    path("", include("credentials.urls")),
    # Last of its kind: an API client is never answered with a page.
    re_path(r"^services(?:/|$)", no_such_resource),
    path("", include("apexrest.page_urls")),
    path("", include("records.page_urls")),
    path("operations/", include("isthmus.jobs.urls")),
    path("", include("callouts.urls")),
    path("", include("events.urls")),
    path("", include("isthmus.console.urls")),
]
