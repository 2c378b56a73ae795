"""Where the app joins Django."""

from django.apps import AppConfig


class AuditConfig(AppConfig):
    name = "isthmus.audit"
    label = "audit"
    verbose_name = "Audit"

    def ready(self) -> None:
        from isthmus.audit.registry import AuditAction, register_actions

        register_actions(
            AuditAction(name="audit.checkpoint", label="Audit trail shortened"),
            AuditAction(name="vault.rotated", label="Encryption keys rotated"),
            AuditAction(name="vault.key_made", label="Encryption key made"),
        )
