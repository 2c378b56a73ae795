"""Where the app joins Django."""

from django.apps import AppConfig


class AuditConfig(AppConfig):
    name = "isthmus.audit"
    label = "audit"
    verbose_name = "Audit"

    def ready(self) -> None:
        from isthmus.audit import vault_actions
        from isthmus.audit.registry import AuditAction, register_actions

        vault_actions.connect()
        register_actions(
            AuditAction(name="audit.checkpoint", label="Audit trail shortened"),
            AuditAction(name="vault.rotated", label="Encryption keys rotated"),
            AuditAction(name="vault.key_made", label="Encryption key made"),
        )
