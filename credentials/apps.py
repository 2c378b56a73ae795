"""Where the app joins Django."""

from collections.abc import Iterable

from django.apps import AppConfig

from isthmus.access.registry import GrantKind, register_grant_kind


class CredentialsConfig(AppConfig):
    name = "credentials"
    label = "credentials"
    verbose_name = "Credentials"

    def ready(self) -> None:
        register_grant_kind(
            GrantKind(name="principal", label="Principals", actions=("use",), targets=self._principal_targets)
        )

    def _principal_targets(self) -> Iterable[str]:
        principals = self.get_model("Principal").objects.select_related("external_credential")
        return [str(principal) for principal in principals]
