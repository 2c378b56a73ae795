"""What a person is connected to: the list behind *My connections*."""

from dataclasses import dataclass
from datetime import datetime

from django.contrib.auth.models import User

from credentials import connections
from credentials.models import ConnectionState, Principal, PrincipalKind, StoredToken
from credentials.registry import get_protocol
from isthmus.console.listings import Column, PersonalListing, register_listing
from isthmus.console.tones import Status, Tone

__all__ = ["MyConnection", "connections_of", "register"]

_STATUSES = {
    ConnectionState.CONNECTED: Status("Connected", Tone.GOOD),
    ConnectionState.IN_DOUBT: Status("In doubt", Tone.WARNING, "question"),
    ConnectionState.FAILED: Status("Failed", Tone.BAD),
    ConnectionState.NOT_CONNECTED: Status("Not connected", Tone.NEUTRAL),
}


@dataclass(frozen=True, kw_only=True)
class MyConnection:
    """A principal and what a person has there."""

    principal: Principal
    token: StoredToken | None

    @property
    def status(self) -> Status:
        """The state as a chip."""
        state = self.token.state if self.token else ConnectionState.NOT_CONNECTED
        return _STATUSES[ConnectionState(state)]

    @property
    def is_connected(self) -> bool:
        """Whether there is something to give up."""
        return self.token is not None and self.token.state != ConnectionState.NOT_CONNECTED

    @property
    def connected_at(self) -> datetime | None:
        """When the user consented."""
        return self.token.connected_at if self.token else None

    @property
    def renewed_at(self) -> datetime | None:
        """When the access token came."""
        return self.token.obtained_at if self.token else None

    @property
    def systems(self) -> str:
        """The named credentials that it is for."""
        return ", ".join(str(named) for named in self.principal.external_credential.named_credentials.all())


def connections_of(user: User) -> list[MyConnection]:
    """Return every per-user principal that the user may use, with what they have there."""
    principals = (
        Principal.objects.filter(kind=PrincipalKind.PER_USER)
        .select_related("external_credential")
        .prefetch_related("external_credential__named_credentials")
    )
    mine = {token.principal_id: token for token in StoredToken.objects.filter(user=user)}
    return [
        MyConnection(principal=principal, token=mine.get(principal.pk))
        for principal in principals
        if get_protocol(principal.external_credential.protocol).is_interactive
        and connections.may_connect(user, principal)
    ]


_LISTING: PersonalListing[MyConnection] = PersonalListing(
    name="my-connections",
    label="My connections",
    url_name="credentials:my_connections",
    rows_of=connections_of,
    columns=(
        Column("system", "System", lambda row: row.systems),
        Column("principal", "Principal", lambda row: str(row.principal)),
        Column("state", "State", lambda row: row.status),
        Column("failure", "Failure", lambda row: row.token.failure_reason if row.token else ""),
        Column("connected_at", "Connected", lambda row: row.connected_at),
        Column("renewed_at", "Token renewed", lambda row: row.renewed_at),
    ),
)


def register() -> None:
    """Join the console; called once, when the app is ready."""
    register_listing(_LISTING)
