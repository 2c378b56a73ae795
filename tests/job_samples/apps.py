"""An app beside the platform's, as its users write them: what the tests of real processes run."""

from django.apps import AppConfig


class JobSamplesConfig(AppConfig):
    name = "tests.job_samples"
    label = "job_samples"
    default_auto_field = "django.db.models.BigAutoField"
