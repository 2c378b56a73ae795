"""Where the app joins Django."""

from django.apps import AppConfig
from django.utils.module_loading import autodiscover_modules


class ExternalServicesConfig(AppConfig):
    name = "callouts.external_services"
    label = "external_services"
    verbose_name = "External services"

    def ready(self) -> None:
        from callouts.callbacks import conf  # noqa: F401 - declares options, which the checks must know
        from callouts.external_services import console

        console.register()
        # Handlers are found by their dotted path; importing them now shows a broken one at the start.
        autodiscover_modules("callbacks")
