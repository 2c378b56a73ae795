"""The vault's options: where the encryption keys are."""

from isthmus.conf import Options, option

__all__ = ["PROVIDERS", "KeyProviderOptions", "TransitOptions", "options", "transit_options"]

PROVIDERS = ("environment", "file", "transit")


def _is_provider(name: str) -> str | None:
    return None if name in PROVIDERS else f"it takes {', '.join(PROVIDERS)}, not {name!r}."


class KeyProviderOptions(Options, prefix="ISTHMUS_KEY_"):
    """Which provider holds the keys."""

    provider = option(
        "environment",
        help_text="Where encryption keys are: `environment` (ISTHMUS_ENCRYPTION_KEYS), `file`, or `transit` of a "
        "HashiCorp Vault or OpenBao.",
        validate=_is_provider,
    )
    file = option("", help_text="The key file of the provider `file`; empty: `encryption.keys` in the data directory.")


class TransitOptions(Options, prefix="ISTHMUS_TRANSIT_"):
    """How the transit engine of a HashiCorp Vault or OpenBao is reached."""

    url = option("", help_text="Address of the server: `https://vault.example.org:8200`.")
    mount = option("transit", help_text="Path at which the transit engine is mounted.")
    key = option("isthmus", help_text="Name of the transit key that wraps the data keys.")
    namespace = option("", help_text="Namespace, where the server has several.")
    token = option("", help_text="Token to authenticate with; or give an AppRole.")
    role_id = option("", help_text="AppRole to log in as.")
    secret_id = option("", help_text="Secret id of the AppRole.")
    approle_mount = option("approle", help_text="Path at which the AppRole method is mounted.")
    ca_bundle = option("", help_text="File with the certificate authorities of the server; empty: certifi's.")
    timeout_seconds = option(5.0, help_text="Time for one request to the server.", minimum=0.1, maximum=60)


options = KeyProviderOptions()
transit_options = TransitOptions()
