"""Why a user can, or cannot, call through a named credential: the resolver's own rules, one after another."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.models import User
from django.db.models import Q

from credentials.errors import CredentialError
from credentials.models import ConnectionState, NamedCredential, Principal, PrincipalKind, StoredToken
from credentials.origins import Origin
from credentials.registry import get_protocol
from credentials.resolver import context_of, effective_settings, principal_for, refuse_plain_http
from isthmus.access import policy
from isthmus.access.errors import PermissionRefused
from isthmus.access.models import PermissionSetAssignment
from isthmus.access.registry import ALL_TARGETS, grant_kind

__all__ = ["Explanation", "MayUse", "Step", "explain", "who_can_use"]


@dataclass(frozen=True, kw_only=True)
class Step:
    """One rule that was asked."""

    rule: str
    is_held: bool
    told: str
    """What was found; where the rule does not hold, what is missing and who can give it."""
    code: str = ""
    """The error's code where the rule does not hold."""


@dataclass(frozen=True, kw_only=True)
class Explanation:
    """The rules in the order in which a callout meets them; after the first that does not hold, none is asked."""

    named_credential: str
    user: str
    steps: list[Step]

    @property
    def may(self) -> bool:
        """Whether a callout would leave."""
        return all(step.is_held for step in self.steps)

    @property
    def decided_by(self) -> Step:
        """The rule that decided."""
        return self.steps[-1]


@dataclass(frozen=True, kw_only=True)
class MayUse:
    """Somebody who may use a named credential, and through what."""

    user: User
    principal: str
    through: list[str]
    """Labels of permission sets; empty for those who may do everything."""


def explain(name: str, user: User) -> Explanation:
    """Ask every rule for `user` at the named credential `name`."""
    return Explanation(named_credential=name, user=user.get_username(), steps=list(_steps(name, user)))


def who_can_use(named: NamedCredential) -> list[MayUse]:
    """Return the active users who may use it, by name."""
    principals = _principals_of(named)
    held = _labels_by_user({each.target for each in principals})
    # Nobody else's grants are worth a question each.
    asked = Q(pk__in=held) | Q(is_superuser=True) | Q(username=policy.SYSTEM_USERNAME)
    found = []
    for user in get_user_model().objects.filter(asked, is_active=True).order_by("username"):
        granted = held.get(user.pk, {})
        usable = (each.target for each in principals if policy.has_everything(user) or each.target in granted)
        target = next(usable, None)
        if target is not None:
            found.append(MayUse(user=user, principal=target, through=sorted(granted.get(target, ()))))
    return found


def _labels_by_user(targets: set[str]) -> dict[int, dict[str, set[str]]]:
    """Return, by user and target, the labels of the permission sets that grant its use."""
    covered: dict[str, set[str]] = {}
    for target in targets:
        for covering in policy.covering_targets(target):
            covered.setdefault(covering, set()).add(target)
    rows = PermissionSetAssignment.objects.filter(
        permission_set__grants__kind="principal",
        permission_set__grants__action__in=grant_kind("principal").actions_that_give("use"),
        permission_set__grants__target__in=covered,
    ).values_list("user_id", "permission_set__label", "permission_set__grants__target")
    found: dict[int, dict[str, set[str]]] = {}
    for user_id, label, covering in rows:
        for target in covered[covering]:
            found.setdefault(user_id, {}).setdefault(target, set()).add(label)
    return found


def _steps(name: str, user: User) -> Iterator[Step]:
    named = NamedCredential.objects.with_authentication().filter(name=name).first()
    yield Step(
        rule="The named credential exists",
        is_held=named is not None,
        told=f"callout:{name}" if named else f"There is no named credential {name!r}. Names are case-sensitive.",
        code="" if named else "NAMED_CREDENTIAL_NOT_FOUND",
    )
    if named is None:
        return
    yield Step(
        rule="It is switched on",
        is_held=named.is_enabled,
        told="Enabled." if named.is_enabled else "It is switched off. An administrator can enable it.",
        code="" if named.is_enabled else "NAMED_CREDENTIAL_DISABLED",
    )
    if not named.is_enabled:
        return
    known: dict[str, Any] = {}
    for rule, look in _RULES:
        step = _asked(rule, look, named, user, known)
        yield step
        if not step.is_held:
            return


def _asked(
    rule: str,
    look: "Callable[[NamedCredential, User, dict[str, Any]], str]",
    named: NamedCredential,
    user: User,
    known: dict[str, Any],
) -> Step:
    try:
        return Step(rule=rule, is_held=True, told=look(named, user, known))
    except _Unheld as error:
        return Step(rule=rule, is_held=False, told=error.message, code=error.recorded_code)
    except (CredentialError, PermissionRefused) as error:
        return Step(rule=rule, is_held=False, told=error.message, code=error.code)


def _principal(named: NamedCredential, user: User, known: dict[str, Any]) -> str:
    principal = known["principal"] = principal_for(named, user)
    through = _through(user, principal.target)
    return (
        f"{principal.target}, through {', '.join(through)}." if through else f"{principal.target}: may do everything."
    )


def _settings(named: NamedCredential, user: User, known: dict[str, Any]) -> str:
    known["settings"] = effective_settings(named.external_credential)
    return f"{get_protocol(named.external_credential.protocol).label}."


def _origin(named: NamedCredential, user: User, known: dict[str, Any]) -> str:
    refuse_plain_http(named, get_protocol(named.external_credential.protocol), known["settings"])
    return f"{Origin.parse(named.url).base}; nothing else is ever called."


def _secrets(named: NamedCredential, user: User, known: dict[str, Any]) -> str:
    principal: Principal = known["principal"]
    owner = user if principal.kind == PrincipalKind.PER_USER else None
    context_of(principal, owner, known["settings"], user=user, depth=0)
    return "Nothing is missing."


def _token(named: NamedCredential, user: User, known: dict[str, Any]) -> str:
    principal: Principal = known["principal"]
    owner = user if principal.kind == PrincipalKind.PER_USER else None
    row = StoredToken.objects.filter(principal=principal, user=owner).first()
    is_interactive = get_protocol(named.external_credential.protocol).is_interactive
    state = row.state if row else ConnectionState.NOT_CONNECTED
    if is_interactive and state == ConnectionState.NOT_CONNECTED:
        raise _Unheld(
            "Nobody has consented at the identity provider yet. Connect the principal.", "PRINCIPAL_NOT_CONNECTED"
        )
    if row is not None and row.failure_code:
        raise _Unheld(row.failure_reason, row.failure_code)
    return "None is needed, or one is kept." if row is None or row.expires_at is None else "One is kept."


class _Unheld(CredentialError):
    """A rule that no callout asks beforehand, because its answer comes from outside."""

    def __init__(self, message: str, code: str) -> None:
        super().__init__(message)
        self.recorded_code = code


_RULES: tuple[tuple[str, Callable[[NamedCredential, User, dict[str, Any]], str]], ...] = (
    ("A permission set grants a principal", _principal),
    ("The external credential's settings fit its protocol", _settings),
    ("Secrets travel safely", _origin),
    ("The principal's secrets are complete", _secrets),
    ("The other side has let it in", _token),
)


def _principals_of(named: NamedCredential) -> list[Principal]:
    if named.principal is not None:
        return [named.principal]
    rows = Principal.objects.filter(external_credential=named.external_credential)
    return list(rows.select_related("external_credential").in_order_of_choice())


def _through(user: User, target: str) -> list[str]:
    owner = target.partition(".")[0]
    covering = Q(permission_set__grants__target__in=[target, ALL_TARGETS, f"{owner}.{ALL_TARGETS}"])
    rows = PermissionSetAssignment.objects.filter(covering, user=user, permission_set__grants__kind="principal")
    return sorted(set(rows.values_list("permission_set__label", flat=True)))
