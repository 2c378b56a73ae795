"""Where the app joins Django."""

from django.apps import AppConfig


class CrashMatrixConfig(AppConfig):
    name = "events.crash_matrix"
    label = "crash_matrix"
    default_auto_field = "django.db.models.BigAutoField"
