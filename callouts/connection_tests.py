"""Tests of a connection: one real callout with the stored secret, told in words."""

from dataclasses import dataclass

from django.contrib.auth.models import User

from callouts import destinations
from callouts.client import Callout, perform
from callouts.models import IntegrationLogEntry
from credentials.models import NamedCredential
from isthmus import correlation
from isthmus.audit import actions as audit
from isthmus.errors import IsthmusError

__all__ = ["METHODS", "ConnectionTest", "try_connection"]

METHODS = ("GET", "HEAD", "OPTIONS")
"""Methods that change nothing on the other side."""

_NEXT_STEPS = {
    "EGRESS_REFUSED": "The address is inside the house. Allow internal addresses if the system is meant to be there.",
    "TLS_FAILED": "Check the host name and the system's certificate; enter its authority if it is your own.",
    "CONNECT_FAILED": "Check host and port, and whether the system is up.",
    "ANSWER_TIMED_OUT": "The system took the request and did not answer in time.",
    "TOKEN_ENDPOINT_REFUSED": "Check the principal's secrets: the token endpoint does not accept them.",
    "PRINCIPAL_NOT_CONNECTED": "Connect the principal at its identity provider.",
    "PRINCIPAL_NOT_CONFIGURED": "Enter what is missing under Principals.",
    "INSUFFICIENT_ACCESS": "Grant the principal to one of the user's permission sets.",
}
_OF_STATUS = {
    401: "The system does not accept who we say we are: check the principal's secrets.",
    403: "The system knows us and does not let us do this.",
    404: "The system answers, but not at this path.",
}


@dataclass(frozen=True, kw_only=True)
class ConnectionTest:
    """What a test found."""

    is_well: bool
    summary: str
    next_step: str
    """"" when there is nothing to do."""
    entry: IntegrationLogEntry | None
    """The redacted request and answer, as the integration log has them."""


def try_connection(named: NamedCredential, user: User, *, method: str = "GET", path: str = "") -> ConnectionTest:
    """Call the system as `user` with what is stored, and tell how that went. Nothing is raised for what goes wrong."""
    # A correlation of its own, so that what it finds in the log is this very call.
    with correlation.bind() as bound:
        url = f"callout:{named.name}{path if path.startswith(('/', '?')) or not path else f'/{path}'}"
        try:
            answer = perform(Callout(method=method, url=url, user=user, operation="Test connection", timeout=15.0))
        except IsthmusError as error:
            found = _told(bound, error.message, _NEXT_STEPS.get(error.code, ""), is_well=False)
        else:
            is_well = answer.status_code < 400
            if is_well:
                # Whatever kept queued callouts from it: they may try again.
                destinations.release(named.name)
            summary = f"The system answered {answer.status_code} in {answer.elapsed.total_seconds() * 1000:.0f} ms."
            found = _told(bound, summary, _OF_STATUS.get(answer.status_code, ""), is_well=is_well)
        audit.record(
            "credentials.connection_tested",
            target=named.name,
            outcome="done" if found.is_well else "failed",
            details={"as": user.get_username(), "method": method},
        )
    return found


def _told(correlation_id: str, summary: str, next_step: str, *, is_well: bool) -> ConnectionTest:
    entry = IntegrationLogEntry.objects.filter(correlation_id=correlation_id).first()
    return ConnectionTest(is_well=is_well, summary=summary, next_step=next_step, entry=entry)
