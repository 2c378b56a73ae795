"""Making the credentials that a document asks for, all but the secrets."""

from dataclasses import dataclass

from django.contrib.auth.models import AbstractUser
from django.db import transaction

from callouts.external_services.description.proposals import Proposal, proposals, servers
from callouts.external_services.errors import CannotConnect
from callouts.external_services.models import ExternalService
from credentials.actions import create_external_credential, create_named_credential, create_principal
from credentials.models import ExternalCredential, IdentityProvider, NamedCredential, PrincipalKind
from credentials.provider_actions import save_identity_provider
from isthmus.audit import actions as audit

__all__ = ["Connected", "connect"]


@dataclass(frozen=True, kw_only=True)
class Connected:
    """What was made."""

    named_credential: NamedCredential
    external_credential: ExternalCredential
    secrets: tuple[str, ...]
    """What still has to be entered, by name."""
    note: str


@transaction.atomic
def connect(
    service: ExternalService, *, scheme: str = "", url: str = "", user: AbstractUser | None = None
) -> Connected:
    """Make a named credential for a service from its document, and let the service use it.

    `scheme`: the security scheme, by the document's name; "": the first that a protocol fits, or no authentication
    where the document names none. `url`: where the service is; "": the document's first server. Raises `CannotConnect`,
    and what making credentials raises.
    """
    version = service.active_version
    if version is None:
        raise CannotConnect(f"{service.name} has no active version.")
    if service.named_credential_id is not None:
        raise CannotConnect(f"{service.name} has a named credential already.")
    where = url or next(iter(servers(version)), "")
    if not where:
        raise CannotConnect("The document names no address of the service; give one.")
    proposal = _chosen(list(proposals(version, base=where)), scheme)
    external = create_external_credential(
        service.name,
        protocol=proposal.protocol,
        label=service.label,
        settings=dict(proposal.settings),
        identity_provider=_provider(service, proposal),
    )
    kind = PrincipalKind.ANONYMOUS if proposal.protocol == "no_authentication" else PrincipalKind.NAMED
    principal = create_principal(external, "Main", kind=kind)
    named = create_named_credential(service.name, url=where, external_credential=external, principal=principal)
    service.named_credential = named
    service.save(update_fields=["named_credential"])
    audit.record(
        "external_service.connected",
        actor=user,
        target=service.name,
        details={"named_credential": named.name, "protocol": proposal.protocol, "scheme": proposal.scheme},
    )
    return Connected(named_credential=named, external_credential=external, secrets=proposal.secrets, note=proposal.note)


def _chosen(found: list[Proposal], scheme: str) -> Proposal:
    if scheme:
        named = next((proposal for proposal in found if proposal.scheme == scheme), None)
        if named is None:
            known = ", ".join(proposal.scheme for proposal in found) or "none"
            raise CannotConnect(f"The document has no security scheme {scheme!r}; it has: {known}.")
        if not named.protocol:
            raise CannotConnect(f"The security scheme {scheme!r} cannot be used: {named.note}.")
        return named
    usable = next((proposal for proposal in found if proposal.protocol), None)
    if usable is None and found:
        raise CannotConnect(f"None of the document's security schemes can be used; the first: {found[0].note}.")
    return usable or Proposal(scheme="", protocol="no_authentication")


def _provider(service: ExternalService, proposal: Proposal) -> IdentityProvider | None:
    """Make the identity provider that a protocol needs; its client id is a placeholder until somebody enters it."""
    if not proposal.provider:
        return None
    return save_identity_provider(
        IdentityProvider(name=service.name, label=service.label, client_id="to-be-entered", **proposal.provider)
    )
