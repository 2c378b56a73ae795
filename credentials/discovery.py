"""What an issuer says of itself: OpenID Connect Discovery and RFC 8414.

https://openid.net/specs/openid-connect-discovery-1_0.html#ProviderConfig, https://www.rfc-editor.org/rfc/rfc8414
"""

import json
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

from requests import PreparedRequest, codes

from credentials import transport
from credentials.conf import options
from credentials.errors import CredentialError, DiscoveryFailed, OutsideOrigin
from credentials.models import IdentityProvider
from credentials.origins import refuse_unsafe_characters
from isthmus import clock
from isthmus.errors import IsthmusError

__all__ = ["ensure_discovered", "refresh"]

_ENDPOINTS = (
    "authorization_endpoint", "token_endpoint", "revocation_endpoint", "introspection_endpoint", "jwks_uri",
)  # fmt: skip
_KEPT = (*_ENDPOINTS, "issuer", "code_challenge_methods_supported", "authorization_response_iss_parameter_supported")
_MAXIMUM_DOCUMENT = 1_000_000


def ensure_discovered(provider: IdentityProvider) -> IdentityProvider:
    """Discover the endpoints if they were never asked for or that was long ago.

    A provider that cannot be asked keeps what is known of it. Raises `DiscoveryFailed` when nothing is.
    """
    if not provider.issuer:
        return provider
    stale = clock.now() - timedelta(seconds=options.discovery_seconds)
    if provider.discovered_at is not None and provider.discovered_at > stale:
        return provider
    try:
        return refresh(provider)
    except DiscoveryFailed:
        if provider.discovered_at is None:
            raise
        return provider


def refresh(provider: IdentityProvider) -> IdentityProvider:
    """Ask the issuer and keep its answer. Endpoints that were entered by hand stay. Raises `DiscoveryFailed`."""
    found = _document(provider)
    if found.get("issuer") != provider.issuer:
        # https://www.rfc-editor.org/rfc/rfc8414#section-3.3: anything else is somebody else's description.
        raise DiscoveryFailed(
            "The issuer's description names another issuer. Enter it exactly as the provider writes it."
        )
    methods = found.get("code_challenge_methods_supported")
    if isinstance(methods, list) and "S256" not in methods:
        raise DiscoveryFailed("The identity provider does not take PKCE with S256, which is always used.")
    kept = {name: found[name] for name in _KEPT if name in found}
    for name in _ENDPOINTS:
        _refuse_endpoint(provider, name, kept.get(name))
    entered = {name for name in _ENDPOINTS if getattr(provider, name) != provider.metadata.get(name, "")}
    for name in _ENDPOINTS:
        if name not in entered or not getattr(provider, name):
            setattr(provider, name, kept.get(name, ""))
    provider.metadata = kept
    provider.discovered_at = clock.now()
    provider.save(update_fields=[*_ENDPOINTS, "metadata", "discovered_at"])
    return provider


def _document(provider: IdentityProvider) -> dict[str, Any]:
    last: DiscoveryFailed | None = None
    for url in _addresses(provider.issuer):
        try:
            return _fetched(provider, url)
        except DiscoveryFailed as error:
            last = error
    raise last or DiscoveryFailed("The issuer is no address.")


def _addresses(issuer: str) -> list[str]:
    parts = urlsplit(issuer)
    path = parts.path.rstrip("/")
    root = f"{parts.scheme}://{parts.netloc}"
    return [
        f"{root}{path}/.well-known/openid-configuration",
        f"{root}/.well-known/oauth-authorization-server{path}",
    ]


def _fetched(provider: IdentityProvider, url: str) -> dict[str, Any]:
    request = PreparedRequest()
    try:
        request.prepare(method="GET", url=url, headers={"Accept": "application/json"})
        answer = transport.send(request, name=provider.name, allow_internal_addresses=provider.allow_internal_addresses)
    except CredentialError:
        raise
    except IsthmusError as error:
        raise DiscoveryFailed(f"The identity provider did not answer: {error.message}") from error
    except ValueError as error:
        raise DiscoveryFailed("The issuer is no address.") from error
    if answer.status_code != codes.ok:
        raise DiscoveryFailed(f"The identity provider answered {answer.status_code} to {urlsplit(url).path}.")
    try:
        found = json.loads(answer.content) if len(answer.content) <= _MAXIMUM_DOCUMENT else None
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise DiscoveryFailed(f"What the identity provider answered to {urlsplit(url).path} is no JSON object.")
    return found


def _refuse_endpoint(provider: IdentityProvider, name: str, url: object) -> None:
    if url is None:
        return
    wanted = {"http", "https"} if provider.allow_internal_addresses else {"https"}
    try:
        refuse_unsafe_characters(str(url))
        parts = urlsplit(str(url))
    except (OutsideOrigin, ValueError):
        parts = urlsplit("")
    if not isinstance(url, str) or parts.scheme not in wanted or not parts.hostname or "@" in parts.netloc:
        raise DiscoveryFailed(f"The issuer's description gives a {name} that is no https address.")
