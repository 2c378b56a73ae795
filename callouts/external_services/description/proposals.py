"""External credentials that would fit the security schemes of a document.

A document says how a service wants to be spoken to; what it never holds are the secrets. A proposal is an external
credential that lacks only these.
"""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any
from urllib.parse import urljoin, urlsplit

from callouts.external_services.description.reader import TEMPLATE
from callouts.external_services.document import references
from callouts.external_services.document.pointers import PointsNowhere
from callouts.external_services.document.references import BrokenReference, Pieces
from callouts.external_services.loaded import document_of
from callouts.external_services.models import ExternalServiceVersion

__all__ = ["Proposal", "proposals", "servers"]

_PARAMETER = "ApiKey"


@dataclass(frozen=True, kw_only=True)
class Proposal:
    """An external credential for one security scheme."""

    scheme: str
    """The document's name for it."""
    protocol: str
    """An authentication protocol of credentials; "" where none fits."""
    settings: Mapping[str, str] = field(default_factory=dict)
    provider: Mapping[str, str] = field(default_factory=dict)
    """Endpoints or issuer of the identity provider that the protocol needs."""
    secrets: tuple[str, ...] = ()
    """What somebody has to enter."""
    note: str = ""

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def proposals(version: ExternalServiceVersion, *, base: str = "") -> Iterator[Proposal]:
    """Yield what fits each security scheme of a version's document, those first that it asks for everywhere.

    `base`: what relative addresses in it are relative to; "": the document's first server.
    """
    pieces = document_of(version)
    place = "/securityDefinitions" if version.dialect == "2.0" else "/components/securitySchemes"
    try:
        schemes = pieces.at(place)
    except PointsNowhere:
        return
    base = base or next(iter(servers(version)), "")
    asked = [name for one in _list(_at(pieces, "/security")) if isinstance(one, dict) for name in one]
    known = schemes if isinstance(schemes, dict) else {}
    for name, given in sorted(known.items(), key=lambda found: found[0] not in asked):
        try:
            scheme, _ = references.resolve(pieces, given, f"{place}/{name}")
        except BrokenReference:
            continue
        if isinstance(scheme, dict):
            yield _proposal(name, scheme, base)


def servers(version: ExternalServiceVersion) -> list[str]:
    """Return the addresses at which a version's document says that the service is, variables filled in."""
    pieces = document_of(version)
    if version.dialect == "2.0":
        host = _at(pieces, "/host")
        schemes = _at(pieces, "/schemes")
        scheme = schemes[0] if isinstance(schemes, list) and schemes and "https" not in schemes else "https"
        base = _at(pieces, "/basePath")
        path = base if isinstance(base, str) else ""
        return [f"{scheme}://{host}{path.rstrip('/')}"] if isinstance(host, str) and host else []
    found = []
    given = _at(pieces, "/servers")
    for server in given if isinstance(given, list) else ():
        url = server.get("url") if isinstance(server, dict) else None
        if isinstance(url, str):
            variables = server.get("variables")
            filled = _filled(url, variables if isinstance(variables, dict) else {})
            if urlsplit(filled).scheme in {"http", "https"}:
                found.append(filled.rstrip("/"))
    return found


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _at(pieces: Pieces, pointer: str) -> Any:
    try:
        return pieces.at(pointer)
    except PointsNowhere:
        return None


def _filled(url: str, variables: Mapping[str, Any]) -> str:
    def value(name: str) -> str:
        variable = variables.get(name)
        default = variable.get("default") if isinstance(variable, dict) else None
        return default if isinstance(default, str) else name

    return TEMPLATE.sub(lambda found: value(found[1]), url)


def _proposal(name: str, scheme: Mapping[str, Any], base: str) -> Proposal:
    kind = str(scheme.get("type", "")).lower()
    if kind == "apikey":
        return _api_key(name, scheme)
    if kind == "basic" or (kind == "http" and str(scheme.get("scheme", "")).lower() == "basic"):
        return Proposal(scheme=name, protocol="basic", secrets=("username", "password"))
    if kind == "http":
        return _http(name, str(scheme.get("scheme", "")))
    if kind == "oauth2":
        return _oauth(name, scheme, base)
    if kind == "openidconnect" and isinstance(scheme.get("openIdConnectUrl"), str):
        issuer = scheme["openIdConnectUrl"].removesuffix("/.well-known/openid-configuration")
        return Proposal(
            scheme=name,
            protocol="oauth_authorization_code",
            settings={"scope": "openid"},
            provider={"issuer": issuer},
            secrets=("client_id", "client_secret"),
        )
    if kind == "mutualtls":
        note = "choose the client certificate on the named credential"
        return Proposal(scheme=name, protocol="no_authentication", note=note)
    return Proposal(scheme=name, protocol="", note=f"no protocol fits the type {kind[:40] or 'that is missing'}")


def _api_key(name: str, scheme: Mapping[str, Any]) -> Proposal:
    parameter, place = str(scheme.get("name", "")), scheme.get("in")
    lines = {
        "header": ("headers", f"{parameter}: {{{_PARAMETER}}}"),
        "query": ("query", f"{parameter}={{{_PARAMETER}}}"),
        "cookie": ("headers", f"Cookie: {parameter}={{{_PARAMETER}}}"),
    }
    if not parameter or not isinstance(place, str) or place not in lines:
        return Proposal(scheme=name, protocol="", note="it says neither name nor place of the key")
    setting, line = lines[place]
    return Proposal(scheme=name, protocol="custom_headers", settings={setting: line}, secrets=(_PARAMETER,))


def _http(name: str, scheme: str) -> Proposal:
    words = {"bearer": "Bearer", "token": "token"}
    if scheme.lower() in words:
        line = f"Authorization: {words[scheme.lower()]} {{Token}}"
        return Proposal(scheme=name, protocol="custom_headers", settings={"headers": line}, secrets=("Token",))
    return Proposal(scheme=name, protocol="", note=f"no protocol fits the HTTP scheme {scheme[:40]}")


def _oauth(name: str, scheme: Mapping[str, Any], base: str) -> Proposal:
    flows = scheme.get("flows")
    if not isinstance(flows, dict):
        # OpenAPI 2.0 has one flow, under its older name.
        older = {"application": "clientCredentials", "accessCode": "authorizationCode"}
        given = str(scheme.get("flow", ""))
        flows = {older.get(given, given): scheme}
    flow = flows.get("clientCredentials")
    if isinstance(flow, dict) and isinstance(flow.get("tokenUrl"), str):
        settings = {"token_url": urljoin(f"{base}/", flow["tokenUrl"]), "scope": _scopes(flow)}
        secrets = ("client_id", "client_secret")
        return Proposal(scheme=name, protocol="oauth_client_credentials", settings=settings, secrets=secrets)
    flow = flows.get("authorizationCode")
    if isinstance(flow, dict) and isinstance(flow.get("tokenUrl"), str):
        endpoints = {
            "authorization_endpoint": urljoin(f"{base}/", str(flow.get("authorizationUrl", ""))),
            "token_endpoint": urljoin(f"{base}/", flow["tokenUrl"]),
        }
        return Proposal(
            scheme=name,
            protocol="oauth_authorization_code",
            settings={"scope": _scopes(flow)},
            provider=endpoints,
            secrets=("client_id", "client_secret"),
        )
    known = ", ".join(sorted(map(str, flows))) or "none"
    return Proposal(scheme=name, protocol="", note=f"no protocol fits its flows: {known[:100]}")


def _scopes(flow: Mapping[str, Any]) -> str:
    scopes = flow.get("scopes")
    return " ".join(map(str, scopes)) if isinstance(scopes, dict) else ""
