"""An app beside the platform's, as its users write them: what the tests of real bus processes run."""

from django.apps import AppConfig


class EventSamplesConfig(AppConfig):
    name = "tests.event_samples"
    label = "event_samples"
    default_auto_field = "django.db.models.BigAutoField"
