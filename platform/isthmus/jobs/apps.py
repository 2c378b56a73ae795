"""Where the app joins Django."""

from django.apps import AppConfig
from django.utils.module_loading import autodiscover_modules


class JobsConfig(AppConfig):
    name = "isthmus.jobs"
    label = "jobs"
    verbose_name = "Background operations"

    def ready(self) -> None:
        from isthmus.console.bulk import install_runner
        from isthmus.jobs import bells, console, listings, probes
        from isthmus.jobs.bulk import BulkRunner
        from isthmus.jobs.django_q_engine import DjangoQBell

        bells.install(DjangoQBell())
        probes.register()
        console.register()
        listings.register()
        install_runner(BulkRunner())
        autodiscover_modules("jobs")
