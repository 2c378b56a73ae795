"""The site of the set-up pages: who may open it, and where they sign in."""

from typing import Any

from django.apps import AppConfig
from django.http import HttpRequest

__all__ = ["SetUpConfig"]


class SetUpConfig(AppConfig):
    """The theme's app, with our site in place of its own."""

    name = "unfold"
    default = False

    def ready(self) -> None:
        from django.contrib import admin
        from django.contrib.admin import sites
        from unfold.sites import UnfoldAdminSite

        from isthmus.access.setting_up import sets_up

        class SetUpSite(UnfoldAdminSite):
            """Lets in whoever was granted something here, staff or not."""

            def has_permission(self, request: HttpRequest) -> bool:
                """Return whether the user finds anything here."""
                return sets_up(request.user)

        site: Any = SetUpSite()
        admin.site = site
        sites.site = site
