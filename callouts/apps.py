"""Where the app joins Django."""

from contextlib import AbstractContextManager

from django.apps import AppConfig
from django.db import connections
from django.db.backends.signals import connection_created
from django.db.models.signals import post_delete, post_save

from callouts import limits


class CalloutsConfig(AppConfig):
    name = "callouts"
    label = "callouts"
    verbose_name = "Callouts"

    def ready(self) -> None:
        from callouts import (
            console,
            destinations,
            figures,
            listings,
            probes,
            provider_requests,
            redaction_rules,
            retention,
            uncommitted_work,
            use_audit,
        )
        from callouts.models import Destination, RedactionRule
        from credentials.transport import register_transport
        from isthmus import health
        from isthmus.access.setting_up import register_set_up
        from isthmus.audit.registry import AuditAction, register_actions
        from isthmus.jobs.hooks import register_job_context
        from isthmus.jobs.schedules import register_schedule

        connection_created.connect(uncommitted_work.watch, dispatch_uid="callouts.uncommitted_work")
        for connection in connections.all(initialized_only=True):
            uncommitted_work.watch(connection)
        health.register(probes.IN_DOUBT)
        register_job_context(_limits_of_job)
        register_transport(provider_requests.send)
        register_schedule("Remove old log entries", retention.remove_old_entries, cron="29 3 * * *")
        register_schedule("Audit the use of credentials", use_audit.audit_uses, cron="*/5 * * * *")
        register_actions(
            AuditAction(name="callouts.entry_resolved", label="Exchange in doubt resolved"),
            AuditAction(name="callouts.breaker_reset", label="Circuit breaker closed by hand"),
            AuditAction(name="callouts.dry_run_switched", label="Dry run switched"),
            AuditAction(name="callouts.destination_released", label="Held callouts released"),
            AuditAction(name="callouts.destination_changed", label="Destination changed"),
            AuditAction(name="callouts.redaction_rule_changed", label="Redaction rule changed"),
        )
        for model, forget in ((RedactionRule, redaction_rules.forget), (Destination, destinations.forget)):
            for signal in (post_save, post_delete):
                signal.connect(lambda forget=forget, **_: forget(), sender=model, weak=False)
        register_set_up("callouts")
        console.register()
        listings.register()
        figures.register()


def _limits_of_job(_job: object) -> AbstractContextManager[None]:
    return limits.transaction_context()
