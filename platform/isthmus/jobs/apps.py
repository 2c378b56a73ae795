"""Where the app joins Django."""

from django.apps import AppConfig
from django.utils.module_loading import autodiscover_modules


class JobsConfig(AppConfig):
    name = "isthmus.jobs"
    label = "jobs"
    verbose_name = "Background operations"

    def ready(self) -> None:
        from isthmus.access.setting_up import register_set_up
        from isthmus.console.bulk import install_runner
        from isthmus.jobs import bells, console, figures, listings, probes
        from isthmus.jobs.bulk import BulkRunner, remove_old_bulk_actions
        from isthmus.jobs.django_q_engine import DjangoQBell
        from isthmus.jobs.jobs import remove_old_access
        from isthmus.jobs.schedules import register_schedule

        bells.install(DjangoQBell())
        probes.register()
        register_set_up("jobs")
        console.register()
        listings.register()
        install_runner(BulkRunner())
        register_schedule("Remove old bulk actions", remove_old_bulk_actions, cron="23 3 * * *")
        figures.register()
        register_schedule("Remove old sessions, tokens and counts", remove_old_access, cron="7 4 * * *")
        autodiscover_modules("jobs")
