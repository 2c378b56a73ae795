"""Where the app joins Django."""

from django.apps import AppConfig


class RecordsConfig(AppConfig):
    name = "records"
    label = "records"
    verbose_name = "Record API"

    def ready(self) -> None:
        # Importing the resources declares them.
        from records import console, resources  # noqa: F401 - only when the apps are loaded

        console.register()
