"""Where the app joins Django."""

from django.apps import AppConfig


class ConsoleConfig(AppConfig):
    name = "isthmus.console"
    label = "console"
    verbose_name = "Console"
