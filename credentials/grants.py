"""What permission sets can grant here: the use of principals."""

from credentials.models import Principal
from isthmus.access.registry import GrantKind

__all__ = ["PRINCIPAL"]


def _targets() -> list[str]:
    return [principal.target for principal in Principal.objects.select_related("external_credential")]


PRINCIPAL = GrantKind(name="principal", label="Principals", actions=("use",), targets=_targets)
