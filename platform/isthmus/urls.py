"""Every address of the platform: one line for each app that has any."""

from django.contrib import admin
from django.urls import URLPattern, URLResolver, include, path

urlpatterns: list[URLPattern | URLResolver] = [
    path("admin/", admin.site.urls),
    path("services/oauth2/", include("isthmus.access.urls")),
    path("services/apexrest/", include("apexrest.urls")),
    path("services/callbacks/", include("callouts.callbacks.urls")),
    path("operations/", include("isthmus.jobs.urls")),
    path("", include("callouts.urls")),
    path("", include("events.urls")),
    path("", include("isthmus.console.urls")),
]
