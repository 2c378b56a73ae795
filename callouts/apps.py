"""Where the app joins Django."""

from contextlib import AbstractContextManager

from django.apps import AppConfig
from django.db import connections
from django.db.backends.signals import connection_created

from callouts import limits


class CalloutsConfig(AppConfig):
    name = "callouts"
    label = "callouts"
    verbose_name = "Callouts"

    def ready(self) -> None:
        from callouts import console, probes, provider_requests, uncommitted_work, use_audit
        from credentials.transport import register_transport
        from isthmus import health
        from isthmus.jobs.hooks import register_job_context
        from isthmus.jobs.schedules import register_schedule

        connection_created.connect(uncommitted_work.watch, dispatch_uid="callouts.uncommitted_work")
        for connection in connections.all(initialized_only=True):
            uncommitted_work.watch(connection)
        health.register(probes.IN_DOUBT)
        register_job_context(_limits_of_job)
        register_transport(provider_requests.send)
        register_schedule("Audit the use of credentials", use_audit.audit_uses, cron="*/5 * * * *")
        console.register()


def _limits_of_job(_job: object) -> AbstractContextManager[None]:
    return limits.transaction_context()
