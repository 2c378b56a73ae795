"""Set-up without secrets, to carry from one environment to another: what there is, written down, compared, applied.

The format is versioned and sorted, so that two manifests of the same set-up are the same text. Secrets, keys and tokens
are not in it; `missing_secrets` says what has to be entered after it was applied.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import transaction

from credentials import actions, provider_actions
from credentials.errors import CredentialError, ManifestRefused
from credentials.models import (
    Certificate,
    ExternalCredential,
    IdentityProvider,
    NamedCredential,
    Principal,
    PrincipalKind,
    PrincipalSecret,
)
from credentials.registry import get_protocol
from credentials.resolver import effective_settings
from isthmus.access.actions import ensure_permission_set
from isthmus.access.models import Grant
from isthmus.audit import actions as audit

__all__ = ["Difference", "MissingSecret", "apply", "compare", "export", "missing_secrets"]

FORMAT = 1
_PROVIDER = (
    "label", "issuer", "client_id", "client_authentication", "assertion_audience", "allow_internal_addresses",
)  # fmt: skip
_ENDPOINTS = (
    "authorization_endpoint", "token_endpoint", "revocation_endpoint", "introspection_endpoint", "jwks_uri",
)  # fmt: skip
_NAMED = ("label", "url", "is_enabled", "allow_internal_addresses", "ca_bundle")
_SECTIONS: dict[str, frozenset[str]] = {
    "identity_providers": frozenset({"name", "certificate", *_PROVIDER, *_ENDPOINTS}),
    "external_credentials": frozenset({"name", "label", "protocol", "settings", "identity_provider", "principals"}),
    "named_credentials": frozenset({"name", "external_credential", "principal", "client_certificate", *_NAMED}),
    "permission_sets": frozenset({"name", "label", "principals"}),
    "certificates": frozenset({"name", "label", "fingerprint", "not_after"}),
}
_PRINCIPAL = frozenset({"name", "kind", "sequence"})

Manifest = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Difference:
    """What applying a manifest does to one thing."""

    kind: str
    name: str
    change: str
    """`add`, or `change`."""
    fields: Sequence[str] = ()


@dataclass(frozen=True, kw_only=True)
class MissingSecret:
    """Something that only a person can bring."""

    kind: str
    """`principal`, `identity_provider`, `certificate` or `connection`."""
    name: str
    """`ExternalCredential.Principal`, or the name of the provider or certificate."""
    secret: str
    """Which of its secrets; "" for a certificate's key and a connection."""


def export(names: Sequence[str] = ()) -> Manifest:
    """Return the set-up; with `names`, of these named credentials and what they need."""
    named = NamedCredential.objects.select_related("external_credential", "principal", "client_certificate")
    named = named.filter(name__in=names) if names else named
    externals = ExternalCredential.objects.select_related("identity_provider").prefetch_related("principals")
    externals = externals.filter(named_credentials__in=named).distinct() if names else externals
    providers = IdentityProvider.objects.select_related("certificate")
    providers = providers.filter(external_credentials__in=externals).distinct() if names else providers
    chosen = list(externals.order_by("name"))
    targets = {f"{each.name}.{principal.name}" for each in chosen for principal in each.principals.all()}
    manifest: Manifest = {
        "format": FORMAT,
        "identity_providers": [_provider(row) for row in providers.order_by("name")],
        "external_credentials": [_external(row) for row in chosen],
        "named_credentials": [_named(row) for row in named.order_by("name")],
        "permission_sets": _permission_sets(targets),
    }
    manifest["certificates"] = _certificates(manifest)
    return manifest


def compare(manifest: Mapping[str, Any]) -> list[Difference]:
    """Return what applying would add and change here. Raises `ManifestRefused`."""
    wanted = _checked(manifest)
    present = export()
    found = []
    for section in ("identity_providers", "external_credentials", "named_credentials", "permission_sets"):
        here = {row["name"]: row for row in present[section]}
        for row in wanted[section]:
            before = here.get(row["name"])
            if before is None:
                found.append(Difference(kind=section, name=row["name"], change="add"))
            elif fields := sorted(key for key, value in row.items() if not _is_like(before.get(key), value)):
                found.append(Difference(kind=section, name=row["name"], change="change", fields=fields))
    return found


def apply(manifest: Mapping[str, Any]) -> list[Difference]:
    """Make the set-up be like the manifest, all of it or nothing; return what was done.

    Nothing is taken away: what the manifest does not name stays. Secrets stay. Raises `ManifestRefused`.
    """
    wanted = _checked(manifest)
    with transaction.atomic():
        done = compare(manifest)
        try:
            _apply(wanted)
        except CredentialError as error:
            raise ManifestRefused(error.message, fields=error.fields) from error
        audit.record("credentials.manifest_applied", details={"changes": len(done)})
    return done


def missing_secrets() -> list[MissingSecret]:
    """Return everything that the present set-up lacks before it can be used, in a stable order."""
    found = [
        MissingSecret(kind="identity_provider", name=provider.name, secret="client_secret")  # noqa: S106 - its name
        for provider in IdentityProvider.objects.filter(client_secret=None).order_by("name")
        if provider.client_authentication in {"header", "body"}
    ]
    rows = Principal.objects.select_related("external_credential__identity_provider")
    for principal in rows.filter(kind=PrincipalKind.NAMED).order_by("external_credential__name", "name"):
        found += _missing_of(principal)
    used = {name for row in export()["certificates"] for name in [row["name"]]}
    held = set(Certificate.objects.exclude(certificate_pem="").values_list("name", flat=True))
    found += [MissingSecret(kind="certificate", name=name, secret="") for name in sorted(used - held)]
    return found


def _missing_of(principal: Principal) -> list[MissingSecret]:
    external = principal.external_credential
    protocol = get_protocol(external.protocol)
    held = set(PrincipalSecret.objects.of(principal, None).values_list("name", flat=True))
    try:
        needed = protocol.secret_options(effective_settings(external))
    except CredentialError:
        needed = []
    missing = [
        MissingSecret(kind="principal", name=principal.target, secret=option.name)
        for option in needed
        if option.is_required and option.name not in held
    ]
    if protocol.is_interactive and not principal.tokens.filter(connected_at__isnull=False).exists():
        missing.append(MissingSecret(kind="connection", name=principal.target, secret=""))
    return missing


# --- writing it down --------------------------------------------------------------------------------------------------
def _provider(row: IdentityProvider) -> dict[str, Any]:
    # Discovered endpoints are the issuer's to tell in the other environment too.
    entered = {name: getattr(row, name) for name in _ENDPOINTS if getattr(row, name) != row.metadata.get(name, "")}
    return {
        "name": row.name,
        **{name: getattr(row, name) for name in _PROVIDER},
        **entered,
        "certificate": row.certificate.name if row.certificate else "",
    }


def _external(row: ExternalCredential) -> dict[str, Any]:
    principals = sorted(row.principals.all(), key=lambda each: each.name)
    return {
        "name": row.name,
        "label": row.label,
        "protocol": row.protocol,
        "settings": dict(sorted(row.settings.items())),
        "identity_provider": row.identity_provider.name if row.identity_provider else "",
        "principals": [{"name": each.name, "kind": str(each.kind), "sequence": each.sequence} for each in principals],
    }


def _named(row: NamedCredential) -> dict[str, Any]:
    return {
        "name": row.name,
        **{name: getattr(row, name) for name in _NAMED},
        "external_credential": row.external_credential.name,
        "principal": row.principal.name if row.principal else "",
        "client_certificate": row.client_certificate.name if row.client_certificate else "",
    }


def _permission_sets(targets: set[str]) -> list[dict[str, Any]]:
    rows = Grant.objects.filter(kind="principal", action="use", target__in=targets).select_related("permission_set")
    sets: dict[str, dict[str, Any]] = {}
    for grant in rows.order_by("permission_set__name", "target"):
        held = grant.permission_set
        sets.setdefault(held.name, {"name": held.name, "label": held.label, "principals": []})
        sets[held.name]["principals"].append(grant.target)
    return list(sets.values())


def _certificates(manifest: Manifest) -> list[dict[str, Any]]:
    """Return the public facts of every certificate that is used; of one that is not there, the name alone."""
    names = {row["certificate"] for row in manifest["identity_providers"]}
    names |= {row["client_certificate"] for row in manifest["named_credentials"]}
    names |= {row["settings"].get("certificate", "") for row in manifest["external_credentials"]}
    rows = {row.name: row for row in Certificate.objects.filter(name__in=names)}
    found = []
    for name in sorted(names - {""}):
        row = rows.get(name)
        ends = row.not_after.isoformat() if row and row.not_after else ""
        fingerprint = row.fingerprint if row else ""
        found.append({"name": name, "label": row.label if row else "", "fingerprint": fingerprint, "not_after": ends})
    return found


# --- reading it -------------------------------------------------------------------------------------------------------
def _checked(manifest: Mapping[str, Any]) -> dict[str, list[dict[str, Any]]]:
    if not isinstance(manifest, Mapping) or manifest.get("format") != FORMAT:
        raise ManifestRefused(f"This is no manifest of format {FORMAT}.")
    if unknown := sorted(str(key) for key in manifest.keys() - _SECTIONS.keys() - {"format"}):
        raise ManifestRefused(f"Unknown: {', '.join(unknown)}.", fields=unknown)
    found: dict[str, list[dict[str, Any]]] = {}
    for section, known in _SECTIONS.items():
        rows = manifest.get(section, [])
        if not isinstance(rows, list):
            raise ManifestRefused(f"{section} is no list.", fields=[section])
        found[section] = [_checked_row(f"{section}[{number}]", row, known) for number, row in enumerate(rows)]
    for number, row in enumerate(found["external_credentials"]):
        for inner, principal in enumerate(row.get("principals", [])):
            _checked_row(f"external_credentials[{number}].principals[{inner}]", principal, _PRINCIPAL)
    return found


def _checked_row(place: str, row: object, known: frozenset[str]) -> dict[str, Any]:
    if not isinstance(row, dict) or not isinstance(row.get("name"), str):
        raise ManifestRefused(f"{place} has no name.", fields=[place])
    if unknown := sorted(str(key) for key in row.keys() - known):
        raise ManifestRefused(f"{place}: unknown: {', '.join(unknown)}.", fields=[f"{place}.{key}" for key in unknown])
    return row


def _is_like(before: object, wanted: object) -> bool:
    if isinstance(wanted, dict) and isinstance(before, dict):
        return all(_is_like(before.get(key), value) for key, value in wanted.items())
    if isinstance(wanted, list) and isinstance(before, list):
        return all(each in before for each in wanted)
    return before == wanted


def _apply(wanted: Mapping[str, list[dict[str, Any]]]) -> None:
    for row in wanted["identity_providers"]:
        _apply_provider(row)
    for row in wanted["external_credentials"]:
        _apply_external(row)
    for row in wanted["named_credentials"]:
        _apply_named(row)
    for row in wanted["permission_sets"]:
        grants = [("principal", "use", target) for target in row.get("principals", [])]
        ensure_permission_set(row["name"], row.get("label") or row["name"], grants)


def _apply_provider(row: Mapping[str, Any]) -> None:
    name = row["name"]
    provider = IdentityProvider.objects.filter(name=name).first() or IdentityProvider(name=name)
    for field in (*_PROVIDER, *_ENDPOINTS):
        if field in row:
            setattr(provider, field, row[field])
    if "certificate" in row:
        provider.certificate = _certificate(row["certificate"])
    provider_actions.save_identity_provider(provider)


def _apply_external(row: Mapping[str, Any]) -> None:
    provider = None
    if row.get("identity_provider"):
        provider = IdentityProvider.objects.filter(name=row["identity_provider"]).first()
        if provider is None:
            raise ManifestRefused(f"{row['name']} needs the identity provider {row['identity_provider']}.")
    external = actions.ensure_external_credential(
        row["name"],
        protocol=row.get("protocol", ""),
        label=row.get("label", ""),
        settings=row.get("settings", {}),
        identity_provider=provider,
    )
    for principal in row.get("principals", []):
        actions.ensure_principal(
            external,
            principal["name"],
            kind=principal.get("kind", PrincipalKind.NAMED),
            sequence=principal.get("sequence", 1),
        )


def _apply_named(row: Mapping[str, Any]) -> None:
    external = ExternalCredential.objects.filter(name=row.get("external_credential", "")).first()
    if external is None:
        raise ManifestRefused(f"{row['name']} needs the external credential {row.get('external_credential')!r}.")
    principal = None
    if row.get("principal"):
        principal = external.principals.filter(name=row["principal"]).first()
        if principal is None:
            raise ManifestRefused(f"{row['name']} needs the principal {external.name}.{row['principal']}.")
    named = NamedCredential.objects.filter(name=row["name"]).first() or NamedCredential(name=row["name"])
    for field in _NAMED:
        if field in row:
            setattr(named, field, row[field])
    named.external_credential, named.principal = external, principal
    if "client_certificate" in row:
        named.client_certificate = _certificate(row["client_certificate"])
    actions.save_named_credential(named)


def _certificate(name: str) -> Certificate | None:
    if not name:
        return None
    found = Certificate.objects.filter(name=name).first()
    if found is None:
        raise ManifestRefused(f"There is no certificate {name!r}. Make or import it first: its key is in no manifest.")
    return found
