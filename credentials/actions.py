"""Setting credentials up. Everything that changes them goes through here: screens, seeds, commands.

`ensure_…` makes what is not there and changes what differs; calling it again changes nothing.
"""

from collections.abc import Mapping
from typing import TypeVar

from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.db import models, transaction
from django.views.decorators.debug import sensitive_variables

from credentials.errors import CredentialInvalid, SecretRefused
from credentials.models import (
    ExternalCredential,
    NamedCredential,
    Principal,
    PrincipalKind,
    PrincipalSecret,
    PrincipalStatus,
    StoredToken,
)
from credentials.protocols.options import cleaned_secrets, cleaned_settings
from credentials.registry import get_protocol
from isthmus import clock
from isthmus.logs import get_logger
from isthmus.vault.errors import SealBroken, UnknownKey
from isthmus.vault.secret import Secret

__all__ = [
    "change_settings",
    "create_external_credential",
    "create_named_credential",
    "create_principal",
    "discard_tokens",
    "ensure_external_credential",
    "ensure_named_credential",
    "ensure_principal",
    "forget_secret",
    "replace_secret",
    "replace_secrets",
]

log = get_logger(__name__)

_Row = TypeVar("_Row", bound=models.Model)


def create_external_credential(
    name: str, *, protocol: str, label: str = "", settings: Mapping[str, object] | None = None
) -> ExternalCredential:
    """Make an external credential. Raises `UnknownProtocol`, `SettingsRefused` or `CredentialInvalid`."""
    cleaned = cleaned_settings(get_protocol(protocol).options, settings or {})
    return _saved(ExternalCredential(name=name, label=label, protocol=protocol, settings=cleaned))


def ensure_external_credential(
    name: str, *, protocol: str, label: str = "", settings: Mapping[str, object] | None = None
) -> ExternalCredential:
    """Make the external credential be like this. Raises as `create_external_credential` does.

    The protocol of an existing one stays: its principals' secrets belong to it (`CredentialInvalid`).
    """
    with transaction.atomic():
        found = ExternalCredential.objects.select_for_update().filter(name=name).first()
        if found is None:
            return create_external_credential(name, protocol=protocol, label=label, settings=settings)
        if found.protocol != protocol:
            raise CredentialInvalid(f"{name} uses {found.protocol}; make another external credential for {protocol}.")
        if found.label != label:
            found.label = label
            _saved(found)
        return change_settings(found, settings or {})


def change_settings(external_credential: ExternalCredential, settings: Mapping[str, object]) -> ExternalCredential:
    """Replace the settings; tokens that were fetched under other ones are dropped. Raises `SettingsRefused`."""
    cleaned = cleaned_settings(get_protocol(external_credential.protocol).options, settings)
    if cleaned == external_credential.settings:
        return external_credential
    with transaction.atomic():
        external_credential.settings = cleaned
        external_credential.save(update_fields=["settings"])
        StoredToken.objects.filter(principal__external_credential=external_credential).delete()
    return external_credential


@sensitive_variables()
def create_principal(
    external_credential: ExternalCredential,
    name: str,
    *,
    kind: PrincipalKind | str = PrincipalKind.NAMED,
    sequence: int = 1,
    secrets: Mapping[str, str] | None = None,
) -> Principal:
    """Make a principal, with its own secrets if it is a named one. Raises `CredentialInvalid` or `SecretRefused`."""
    with transaction.atomic():
        made = _saved(
            Principal(external_credential=external_credential, name=name, kind=PrincipalKind(kind), sequence=sequence)
        )
        if secrets:
            replace_secrets(made, secrets)
        else:
            _note_configuration(made)
    return made


@sensitive_variables()
def ensure_principal(
    external_credential: ExternalCredential,
    name: str,
    *,
    kind: PrincipalKind | str = PrincipalKind.NAMED,
    sequence: int = 1,
    secrets: Mapping[str, str] | None = None,
) -> Principal:
    """Make the principal be like this; secrets that are not mentioned, and those that are the same, stay."""
    with transaction.atomic():
        found = external_credential.principals.select_for_update().filter(name=name).first()
        if found is None:
            return create_principal(external_credential, name, kind=kind, sequence=sequence, secrets=secrets)
        if found.kind != PrincipalKind(kind):
            raise CredentialInvalid(f"{found.target} is of the kind {found.kind}; that does not change.")
        if found.sequence != sequence:
            found.sequence = sequence
            _saved(found)
        changed = _changed_secrets(found, secrets or {})
        if changed:
            replace_secrets(found, changed)
    return found


def create_named_credential(
    name: str,
    *,
    url: str,
    external_credential: ExternalCredential,
    principal: Principal | None = None,
    label: str = "",
    is_enabled: bool = True,
    allow_internal_addresses: bool = False,
) -> NamedCredential:
    """Make a named credential. Without `principal` each user's permission sets decide. Raises `CredentialInvalid`."""
    return _saved(
        NamedCredential(
            name=name,
            url=url,
            external_credential=external_credential,
            principal=principal,
            label=label,
            is_enabled=is_enabled,
            allow_internal_addresses=allow_internal_addresses,
        )
    )


def ensure_named_credential(
    name: str,
    *,
    url: str,
    external_credential: ExternalCredential,
    principal: Principal | None = None,
    label: str = "",
    is_enabled: bool = True,
    allow_internal_addresses: bool = False,
) -> NamedCredential:
    """Make the named credential be like this. Raises `CredentialInvalid`."""
    with transaction.atomic():
        found = NamedCredential.objects.select_for_update().filter(name=name).first() or NamedCredential(name=name)
        found.url = url
        found.external_credential = external_credential
        found.principal = principal
        found.label = label
        found.is_enabled = is_enabled
        found.allow_internal_addresses = allow_internal_addresses
        return _saved(found)


@sensitive_variables()
def replace_secret(principal: Principal, name: str, value: str, *, user: User | None = None) -> None:
    """Set one secret; see `replace_secrets`."""
    replace_secrets(principal, {name: value}, user=user)


@sensitive_variables()
def replace_secrets(principal: Principal, secrets: Mapping[str, str], *, user: User | None = None) -> None:
    """Set secrets, all or none; the others stay. Tokens fetched with the old ones are dropped.

    `user` is whose they are at a per-user principal, and `None` at a named one. Raises `SecretRefused`.
    """
    _refuse_wrong_owner(principal, user)
    cleaned = cleaned_secrets(get_protocol(principal.external_credential.protocol).options, secrets)
    with transaction.atomic():
        for name, value in cleaned.items():
            PrincipalSecret.objects.update_or_create(
                principal=principal,
                user=user,
                name=name,
                # Wrapped here: the frames below are Django's, and an error report shows their variables.
                defaults={"value": Secret(value), "set_at": clock.now(), "last_used_at": None},
            )
        discard_tokens(principal, user=user)
        _note_configuration(principal)
    log.info("credentials.secrets_replaced", principal=principal.target, names=sorted(cleaned))


def forget_secret(principal: Principal, name: str, *, user: User | None = None) -> None:
    """Delete one secret and the tokens fetched with it."""
    with transaction.atomic():
        PrincipalSecret.objects.of(principal, user).filter(name=name).delete()
        discard_tokens(principal, user=user)
        _note_configuration(principal)
    log.info("credentials.secret_forgotten", principal=principal.target, names=[name])


def discard_tokens(principal: Principal, *, user: User | None = None) -> None:
    """Drop the stored access token, so that the next callout fetches one."""
    StoredToken.objects.filter(principal=principal, user=user).delete()


def _saved(row: _Row) -> _Row:
    try:
        row.full_clean()
    except ValidationError as error:
        raise CredentialInvalid(" ".join(error.messages), fields=tuple(error.message_dict)) from None
    row.save()
    return row


def _refuse_wrong_owner(principal: Principal, user: User | None) -> None:
    if principal.kind == PrincipalKind.ANONYMOUS:
        raise SecretRefused(f"{principal.target} is anonymous: it has no secrets.")
    if principal.kind == PrincipalKind.PER_USER and user is None:
        raise SecretRefused(f"At {principal.target} each user has their own secrets: say whose these are.")
    if principal.kind == PrincipalKind.NAMED and user is not None:
        raise SecretRefused(f"{principal.target} has one set of secrets for everybody, not one for each user.")


@sensitive_variables()
def _changed_secrets(principal: Principal, secrets: Mapping[str, str]) -> dict[str, str]:
    kept = {row.name: row.value for row in PrincipalSecret.objects.of(principal, None)}
    changed = {}
    for name, value in secrets.items():
        try:
            is_same = name in kept and kept[name].matches(value)
        except (UnknownKey, SealBroken):
            is_same = False
        if not is_same:
            changed[name] = value
    return changed


def _note_configuration(principal: Principal) -> None:
    """Set the principal's status from the secrets it has now."""
    options = get_protocol(principal.external_credential.protocol).secret_options()
    required = {option.name for option in options if option.is_required}
    held: dict[int | None, set[str]] = {}
    for user_id, name in PrincipalSecret.objects.filter(principal=principal).values_list("user_id", "name"):
        held.setdefault(user_id, set()).add(name)
    is_complete = not required or any(required <= names for names in held.values())
    principal.status = PrincipalStatus.CONFIGURED if is_complete else PrincipalStatus.NOT_CONFIGURED
    principal.status_reason = ""
    principal.status_at = clock.now()
    principal.save(update_fields=["status", "status_reason", "status_at"])
