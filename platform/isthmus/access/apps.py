"""Where the app joins Django."""

from django.apps import AppConfig

from isthmus.audit.registry import AuditAction, register_actions


class AccessConfig(AppConfig):
    name = "isthmus.access"
    label = "access"
    verbose_name = "Access"

    def ready(self) -> None:
        from isthmus.access import api_use, auditing, known_tokens
        from isthmus.access.limits import register_limits

        auditing.connect()
        known_tokens.connect()
        register_limits(api_use.limits)
        register_actions(
            AuditAction(name="access.granted", label="Granted"),
            AuditAction(name="access.revoked", label="Grant withdrawn"),
            AuditAction(name="access.assigned", label="Permission set assigned"),
            AuditAction(name="access.unassigned", label="Permission set withdrawn"),
            AuditAction(name="access.second_factor_set", label="Two-step sign-in switched on"),
            AuditAction(name="access.second_factor_removed", label="Two-step sign-in switched off"),
        )
