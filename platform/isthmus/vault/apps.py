"""Where the app joins Django."""

from django.apps import AppConfig
from django.core import checks

from isthmus.vault.checks import check_keys


class VaultConfig(AppConfig):
    name = "isthmus.vault"
    label = "vault"
    verbose_name = "Vault"

    def ready(self) -> None:
        checks.register(check_keys, checks.Tags.security)
