"""Where the app joins Django."""

from django.apps import AppConfig


class RecordsConfig(AppConfig):
    name = "records"
    label = "records"
    verbose_name = "Record API"

    def ready(self) -> None:
        from records import console

        console.register()
