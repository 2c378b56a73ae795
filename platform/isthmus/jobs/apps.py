"""Where the app joins Django."""

from django.apps import AppConfig
from django.utils.module_loading import autodiscover_modules


class JobsConfig(AppConfig):
    name = "isthmus.jobs"
    label = "jobs"
    verbose_name = "Background operations"

    def ready(self) -> None:
        from isthmus.jobs import bells, console, probes
        from isthmus.jobs.django_q_engine import DjangoQBell
        from isthmus.jobs.jobs import remove_old_access
        from isthmus.jobs.schedules import register_schedule

        bells.install(DjangoQBell())
        probes.register()
        console.register()
        register_schedule("Remove old sessions, tokens and counts", remove_old_access, cron="7 4 * * *")
        autodiscover_modules("jobs")
