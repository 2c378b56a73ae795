"""Where the app joins Django."""

from django.apps import AppConfig
from django.core import checks


class VaultConfig(AppConfig):
    name = "isthmus.vault"
    label = "vault"
    verbose_name = "Vault"

    def ready(self) -> None:
        from isthmus.vault.checks import check_key_identity, check_keys

        checks.register(check_keys, checks.Tags.security)
        checks.register(check_key_identity, checks.Tags.database)
