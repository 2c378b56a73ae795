"""A person connects a principal: is sent to the identity provider, comes back with a code, and the grant is kept.

Each such way is a row (`AuthorizationRequest`): its `state` is known as a hash only, it belongs to one user and one
browser session, ends after a while, and is used once, whatever becomes of it.
"""

import hashlib
import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.contrib.auth.models import User
from django.db import transaction
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.debug import sensitive_variables
from requests import codes

from credentials import discovery, transport
from credentials.conf import options
from credentials.errors import AuthenticationFailed, ConnectionRefused, CredentialRefused, TokenEndpointFailed
from credentials.models import AuthorizationRequest, Principal, PrincipalKind, PrincipalStatus, StoredToken
from credentials.protocols.base import TokenRequest
from credentials.protocols.oauth_authorization_code import OAuthAuthorizationCode
from credentials.protocols.token_answers import read_token_answer
from credentials.resolver import protocol_of
from credentials.token_store import DatabaseTokenStore
from isthmus import clock
from isthmus.access import policy
from isthmus.access.errors import PermissionRefused
from isthmus.audit import actions as audit
from isthmus.errors import IsthmusError
from isthmus.logs import get_logger

__all__ = [
    "Departure",
    "Disconnection",
    "connect",
    "disconnect",
    "finish",
    "may_connect",
    "redirect_uri",
    "safe_return",
]

log = get_logger(__name__)

_SESSION_KEY = "credentials.authorizations"
_KEPT_IN_SESSION = 10

Session = Any
"""A Django session: a mapping that is saved with the answer."""


@dataclass(frozen=True, kw_only=True)
class Departure:
    """Where the browser goes now."""

    url: str


@dataclass(frozen=True, kw_only=True)
class Disconnection:
    """What became of a grant that was given up."""

    was_revoked: bool
    """Whether the identity provider has confirmed that it is over there too."""
    trouble: str = ""
    """In a sentence, why it has not."""


def redirect_uri(principal: Principal) -> str:
    """Return the one address to which the identity provider sends a browser back; register exactly this there."""
    path = reverse("credentials:callback", args=[principal.external_credential.name])
    return f"{settings.BASE_URL}{path}"


def may_connect(user: User, principal: Principal) -> bool:
    """Return whether the user may connect it: their own identity by a grant, everybody's as its administrator."""
    if principal.kind == PrincipalKind.PER_USER:
        return policy.is_granted(user, "principal", "use", principal.target)
    return user.is_active and user.has_perm("credentials.change_principal")


@sensitive_variables()
def connect(principal: Principal, user: User, session: Session, *, return_to: str) -> Departure:
    """Return where to send the browser of `user`, who is about to consent.

    Raises `PermissionRefused`, `ConnectionRefused` (not an interactive protocol) or `DiscoveryFailed`.
    """
    _refuse_stranger(principal, user)
    provider = principal.external_credential.identity_provider
    if provider is not None:
        principal.external_credential.identity_provider = discovery.ensure_discovered(provider)
    owner = user if principal.kind == PrincipalKind.PER_USER else None
    protocol = _interactive(principal, owner)
    if not protocol.provider.authorization_endpoint or not protocol.provider.token_endpoint:
        raise ConnectionRefused("The identity provider has no authorization or token endpoint. Enter them.")
    state, code_verifier = secrets.token_urlsafe(32), secrets.token_urlsafe(48)
    now = clock.now()
    made = AuthorizationRequest.objects.create(
        state_hash=_hash(state),
        principal=principal,
        owner=owner,
        started_by=user,
        code_verifier=code_verifier,
        return_to=safe_return(return_to),
        started_at=now,
        expires_at=now + timedelta(seconds=options.authorization_seconds),
    )
    session[_SESSION_KEY] = [*session.get(_SESSION_KEY, [])[-(_KEPT_IN_SESSION - 1) :], str(made.pk)]
    url = protocol.authorization_url(state=state, code_verifier=code_verifier, redirect_uri=redirect_uri(principal))
    return Departure(url=url)


@sensitive_variables()
def finish(name: str, answer: Mapping[str, str], user: User, session: Session) -> AuthorizationRequest:
    """Take what the identity provider sent along at `name`'s callback address; return the request that is now over.

    Raises `ConnectionRefused` (state, session, issuer, or the provider says no) or `AuthenticationFailed`. Whatever was
    connected before stays connected then.
    """
    request = _taken(name, answer.get("state", ""), user, session)
    principal = request.principal
    try:
        protocol = _interactive(principal, request.owner)
        _refuse_other_issuer(protocol, principal, answer.get("iss"))
        if answer.get("error"):
            raise ConnectionRefused(_told_error(answer["error"]))
        code = answer.get("code", "")
        if not code:
            raise ConnectionRefused("The identity provider sent neither a code nor an error.")
        exchange = protocol.code_request(
            code=code, code_verifier=request.code_verifier.reveal(), redirect_uri=redirect_uri(principal)
        )
        tokens = read_token_answer(_asked(exchange, principal))
    except (CredentialRefused, AuthenticationFailed) as error:
        audit.record("credentials.connected", target=principal.target, outcome="failed", details={"code": error.code})
        raise
    with transaction.atomic():
        DatabaseTokenStore(principal, request.owner).connect(tokens, connected_by=user)
        audit.record("credentials.connected", target=principal.target, details=_whose(request.owner))
    log.info("credentials.connected", principal=principal.target, per_user=request.owner is not None)
    return request


def disconnect(principal: Principal, user: User, *, owner: User | None = None) -> Disconnection:
    """Give the grant up: tell the identity provider, then forget it here, even if the provider could not be told.

    `owner`: whose, at a per-user principal; a user may give up their own, an administrator everybody's.
    Raises `PermissionRefused`.
    """
    if principal.kind == PrincipalKind.PER_USER and owner is None:
        owner = user
    is_own = principal.kind == PrincipalKind.PER_USER and owner == user
    if not is_own and not user.has_perm("credentials.change_principal"):
        raise PermissionRefused(f"{user.get_username()} may not disconnect {principal.target}.")
    outcome = _revoked(principal, owner)
    with transaction.atomic():
        StoredToken.objects.filter(principal=principal, user=owner).delete()
        if principal.kind != PrincipalKind.PER_USER:
            Principal.objects.filter(pk=principal.pk).update(
                status=PrincipalStatus.NOT_CONFIGURED, status_reason="", status_at=clock.now()
            )
        audit.record(
            "credentials.disconnected",
            target=principal.target,
            details={**_whose(owner), "revoked": outcome.was_revoked},
        )
    return outcome


def _revoked(principal: Principal, owner: User | None) -> Disconnection:
    try:
        requests = _interactive(principal, owner).revocation_requests()
        if not requests:
            return Disconnection(was_revoked=False, trouble="The identity provider names no address to revoke at.")
        for request in requests:
            answer = _asked(request, principal)
            if answer.status_code != codes.ok:
                return Disconnection(
                    was_revoked=False, trouble=f"The identity provider answered {answer.status_code} to the revocation."
                )
    except IsthmusError as error:
        return Disconnection(was_revoked=False, trouble=error.message)
    return Disconnection(was_revoked=True)


def _refuse_stranger(principal: Principal, user: User) -> None:
    if may_connect(user, principal):
        return
    if principal.kind == PrincipalKind.PER_USER:
        policy.require(user, "principal", "use", principal.target)
    raise PermissionRefused(f"{user.get_username()} lacks the permission to change {principal.target}.")


def _interactive(principal: Principal, owner: User | None) -> OAuthAuthorizationCode:
    protocol = protocol_of(principal, owner)
    if not isinstance(protocol, OAuthAuthorizationCode) or principal.kind == PrincipalKind.ANONYMOUS:
        raise ConnectionRefused(f"{principal.target} is not one that a person connects.")
    return protocol


def _taken(name: str, state: str, user: User, session: Session) -> AuthorizationRequest:
    """Return the request of this state, used up from now on. Raises `ConnectionRefused`."""
    found = (
        AuthorizationRequest.objects.select_related("principal__external_credential__identity_provider", "owner")
        .filter(state_hash=_hash(state))
        .first()
    )
    if found is None:
        raise ConnectionRefused("The state is not one that we gave out.")
    mine = str(found.pk) in session.get(_SESSION_KEY, []) and found.started_by_id == user.pk
    # Used up before anything is looked at: whoever brings it a second time, or from elsewhere, gets nothing.
    taken = AuthorizationRequest.objects.filter(pk=found.pk, used_at=None).update(used_at=clock.now())
    if not mine:
        raise ConnectionRefused("The connection was begun in another browser or by another user.")
    session[_SESSION_KEY] = [each for each in session[_SESSION_KEY] if each != str(found.pk)]
    if not taken:
        raise ConnectionRefused("This answer was used already.")
    if found.expires_at <= clock.now():
        raise ConnectionRefused("That took too long. Connect again.")
    if not hmac.compare_digest(found.principal.external_credential.name, name):
        raise ConnectionRefused("The answer came to another credential's address.")
    return found


def _refuse_other_issuer(protocol: OAuthAuthorizationCode, principal: Principal, issuer: str | None) -> None:
    """Raise `ConnectionRefused` on a mix-up (https://www.rfc-editor.org/rfc/rfc9207#section-2.4)."""
    provider = principal.external_credential.identity_provider
    promised = bool(provider and provider.metadata.get("authorization_response_iss_parameter_supported"))
    if issuer is None and not promised:
        return
    if issuer != protocol.provider.issuer:
        raise ConnectionRefused("The answer comes from another issuer than the one that was asked.")


def _told_error(error: str) -> str:
    # https://www.rfc-editor.org/rfc/rfc6749#section-4.1.2.1; what the provider wrote beyond the code is not repeated.
    meanings = {
        "access_denied": "Consent was refused.",
        "temporarily_unavailable": "The identity provider cannot do that now. Try again later.",
        "invalid_scope": "The identity provider does not know the scope.",
        "unauthorized_client": "The identity provider does not let us use this way.",
    }
    return meanings.get(error, "The identity provider ended with an error.")


def _asked(request: TokenRequest, principal: Principal) -> Any:
    external = principal.external_credential
    provider = external.identity_provider
    try:
        return transport.send(
            request,
            name=external.name,
            allow_internal_addresses=bool(provider and provider.allow_internal_addresses),
        )
    except CredentialRefused:
        raise
    except IsthmusError as error:
        raise TokenEndpointFailed(f"The identity provider gave no answer ({error.code}).") from error


def safe_return(url: str) -> str:
    """Return the address if it is one of ours, else the page of one's connections."""
    is_ours = (
        url.isprintable()
        and url.startswith("/")
        and url_has_allowed_host_and_scheme(url, allowed_hosts=None)
        and len(url) <= 500
    )
    return url if is_ours and not urlsplit(url).netloc else reverse("credentials:my_connections")


def _whose(owner: User | None) -> dict[str, Any]:
    return {"user": owner.get_username()} if owner else {}


def _hash(state: str) -> str:
    return hashlib.sha256(state.encode()).hexdigest()
