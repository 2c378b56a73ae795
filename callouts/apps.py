"""Where the app joins Django."""

from contextlib import AbstractContextManager

from django.apps import AppConfig
from django.db import connections
from django.db.backends.signals import connection_created
from django.db.models.signals import post_migrate

from callouts import limits


class CalloutsConfig(AppConfig):
    name = "callouts"
    label = "callouts"
    verbose_name = "Callouts"

    def ready(self) -> None:
        from callouts import console, probes, provider_requests, uncommitted_work
        from credentials.transport import register_transport
        from isthmus import health
        from isthmus.jobs.hooks import register_job_context

        connection_created.connect(uncommitted_work.watch, dispatch_uid="callouts.uncommitted_work")
        for connection in connections.all(initialized_only=True):
            uncommitted_work.watch(connection)
        health.register(probes.IN_DOUBT)
        register_job_context(_limits_of_job)
        register_transport(provider_requests.send)
        post_migrate.connect(_schedule_audit, sender=self, dispatch_uid="callouts.audit")
        console.register()


def _schedule_audit(**_: object) -> None:
    from callouts.use_audit import audit_uses
    from isthmus.jobs.schedules import ensure_schedule

    ensure_schedule("Audit the use of credentials", audit_uses, cron="*/5 * * * *")


def _limits_of_job(_job: object) -> AbstractContextManager[None]:
    return limits.transaction_context()
