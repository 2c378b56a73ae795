"""Where the app joins Django."""

from django.apps import AppConfig


class CalloutsConfig(AppConfig):
    name = "callouts"
    label = "callouts"
    verbose_name = "Callouts"
