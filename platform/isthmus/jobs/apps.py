"""Where the app joins Django."""

from django.apps import AppConfig


class JobsConfig(AppConfig):
    name = "isthmus.jobs"
    label = "jobs"
    verbose_name = "Background operations"
