"""Where the app joins Django."""

from django.apps import AppConfig
from django.core import checks

from isthmus.access.registry import register_grant_kind
from isthmus.audit.registry import AuditAction, register_actions


class CredentialsConfig(AppConfig):
    name = "credentials"
    label = "credentials"
    verbose_name = "Credentials"

    def ready(self) -> None:
        from django.contrib.auth import get_user_model

        from credentials import auditing, figures, my_connections, probes, recent_resolutions
        from credentials.checks import check_external_credentials
        from credentials.cleaning import remove_old_authorization_requests
        from credentials.grants import PRINCIPAL
        from isthmus import health
        from isthmus.access.models import Grant, PermissionSetAssignment
        from isthmus.access.setting_up import register_set_up
        from isthmus.console.registry import Page, register_page
        from isthmus.jobs.schedules import register_schedule

        register_grant_kind(PRINCIPAL)
        health.register(probes.CERTIFICATES)
        health.register(probes.PRINCIPALS)
        auditing.connect()
        figures.register()
        register_schedule("Remove old authorization requests", remove_old_authorization_requests, cron="47 4 * * *")
        my_connections.register()
        register_page(Page("My connections", "credentials:my_connections", "user", 60, permission_action=""))
        recent_resolutions.connect(*self.get_models(), Grant, PermissionSetAssignment, get_user_model())
        register_set_up("credentials")
        register_actions(
            *(
                AuditAction(name=f"credentials.{name}", label=label)
                for name, label in (
                    ("external_credential_made", "External credential made"),
                    ("external_credential_changed", "External credential changed"),
                    ("provider_made", "Identity provider made"),
                    ("provider_changed", "Identity provider changed"),
                    ("principal_made", "Principal made"),
                    ("named_credential_made", "Named credential made"),
                    ("named_credential_changed", "Named credential changed"),
                    ("secrets_replaced", "Secrets replaced"),
                    ("secret_forgotten", "Secret forgotten"),
                    ("certificate_replaced", "Certificate replaced"),
                    ("connected", "Principal connected"),
                    ("disconnected", "Principal disconnected"),
                    ("connection_tested", "Connection tested"),
                    ("manifest_exported", "Manifest exported"),
                    ("manifest_applied", "Manifest applied"),
                    ("deleted", "Credential deleted"),
                    ("used", "Credential used"),
                    ("refused", "Credential refused"),
                )
            )
        )
        checks.register(check_external_credentials, checks.Tags.database)
