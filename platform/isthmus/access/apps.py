"""Where the app joins Django."""

from django.apps import AppConfig
from django.db.models.signals import post_migrate

from isthmus.audit.registry import AuditAction, register_actions


class AccessConfig(AppConfig):
    name = "isthmus.access"
    label = "access"
    verbose_name = "Access"

    def ready(self) -> None:
        from isthmus.access import api_use, auditing, known_tokens, setting_up, shipped_sets
        from isthmus.access.limits import register_limits
        from isthmus.access.registry import register_grant_kind, register_model_permission_translator

        register_grant_kind(setting_up.KIND)
        register_model_permission_translator(setting_up.SetUpPermissions())
        setting_up.register_set_up("access", "auth", "audit")
        post_migrate.connect(
            shipped_sets.make_missing_after_migration, sender=self, dispatch_uid="isthmus.access.shipped"
        )
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
