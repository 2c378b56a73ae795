"""Where the app joins Django."""

from django.apps import AppConfig


class ExternalServicesConfig(AppConfig):
    name = "callouts.external_services"
    label = "external_services"
    verbose_name = "External services"

    def ready(self) -> None:
        from callouts.external_services import console

        console.register()
