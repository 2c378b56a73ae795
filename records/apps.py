"""Where the app joins Django."""

from django.apps import AppConfig


class RecordsConfig(AppConfig):
    name = "records"
    label = "records"
    verbose_name = "Record API"

    def ready(self) -> None:
        # Importing them declares them.
        from records import resources  # noqa: F401 - only when the apps are loaded
