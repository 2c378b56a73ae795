"""Where the app joins Django."""

from django.apps import AppConfig
from django.core import checks

from isthmus.access.registry import register_grant_kind


class CredentialsConfig(AppConfig):
    name = "credentials"
    label = "credentials"
    verbose_name = "Credentials"

    def ready(self) -> None:
        from credentials.checks import check_external_credentials
        from credentials.grants import PRINCIPAL

        register_grant_kind(PRINCIPAL)
        checks.register(check_external_credentials, checks.Tags.database)
