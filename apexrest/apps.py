"""Where the app joins Django."""

from django.apps import AppConfig


class ApexRestConfig(AppConfig):
    name = "apexrest"
    label = "apexrest"
    verbose_name = "REST endpoints"
