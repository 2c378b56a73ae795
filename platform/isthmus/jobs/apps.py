"""Where the app joins Django."""

from django.apps import AppConfig
from django.utils.module_loading import autodiscover_modules


class JobsConfig(AppConfig):
    name = "isthmus.jobs"
    label = "jobs"
    verbose_name = "Background operations"

    def ready(self) -> None:
        from isthmus.jobs import bells, console, figures, probes
        from isthmus.jobs.django_q_engine import DjangoQBell

        bells.install(DjangoQBell())
        probes.register()
        console.register()
        figures.register()
        autodiscover_modules("jobs")
