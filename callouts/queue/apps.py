"""Where the app joins Django."""

from django.apps import AppConfig
from django.core import checks


class CalloutQueueConfig(AppConfig):
    name = "callouts.queue"
    label = "callout_queue"
    verbose_name = "Queued callouts"

    def ready(self) -> None:
        from callouts.queue import console, figures, listings, releasing
        from callouts.queue.checks import check_pool
        from callouts.queue.cleaning import remove_ended
        from callouts.queue.dispatching import Dispatcher
        from isthmus.access.setting_up import register_set_up
        from isthmus.audit.registry import AuditAction, register_actions
        from isthmus.jobs.schedules import register_schedule
        from isthmus.jobs.services import register_worker_service

        register_worker_service(Dispatcher)
        register_schedule("Remove ended queued callouts", remove_ended, cron="41 3 * * *")
        register_actions(
            *(
                AuditAction(name=f"callouts.{name}", label=label)
                for name, label in (
                    ("resent", "Queued callout sent again"),
                    ("edited", "Queued callout edited and sent again"),
                    ("decided", "Queued callout in doubt decided"),
                    ("cancelled", "Queued callout cancelled"),
                    ("recovery_asked", "Failed callouts sent again"),
                    ("batch_started", "Callout batch started"),
                    ("batch_restarted", "Callout batch restarted"),
                    ("batch_cancelled", "Callout batch cancelled"),
                )
            )
        )
        checks.register(check_pool)
        releasing.connect()
        register_set_up("callout_queue")
        console.register()
        listings.register()
        figures.register()
