"""Where the app joins Django."""

from django.apps import AppConfig


class MortgageConfig(AppConfig):
    name = "examples.mortgage"
    label = "mortgage"
    verbose_name = "Mortgage desk (demo)"

    def ready(self) -> None:
        from examples.mortgage import console

        console.register()
