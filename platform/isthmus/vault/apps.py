"""Where the app joins Django."""

from django.apps import AppConfig


class VaultConfig(AppConfig):
    name = "isthmus.vault"
    label = "vault"
    verbose_name = "Vault"
