"""What can go wrong between a callout and its signature.

IsthmusError
└── CredentialError
    ├── CredentialRefused              somebody here must change something first; trying again does not help
    │   ├── UnknownNamedCredential
    │   ├── CredentialDisabled
    │   ├── PrincipalAccessRefused
    │   ├── PrincipalNotConfigured
    │   ├── NotConnected               nobody has consented yet, or the consent is over
    │   ├── ConnectionRefused          a consent that cannot be taken: wrong state, wrong issuer, refused
    │   ├── InsecureOrigin
    │   ├── OutsideOrigin
    │   ├── UnknownProtocol
    │   ├── SettingsRefused
    │   ├── SecretRefused
    │   ├── CertificateRefused
    │   └── ManifestRefused
    └── AuthenticationFailed           the other side did not let us in
        ├── TokenEndpointFailed        500, 429, no answer: may work later
        ├── TokenEndpointRefused       400, 401: the secrets or the settings are wrong
        ├── TokenAnswerBroken          HTML, no access_token: this is no token endpoint
        ├── TokenTypeUnsupported       the token is not a bearer token
        ├── TokenWaitTimedOut          another callout is still fetching the token: may work later
        ├── TokenNeedsCommit           a token must be renewed, and the transaction around could undo it
        └── DiscoveryFailed            the identity provider's own description cannot be had

No message ever carries a secret, a token, or text that the other side sent.
"""

from collections.abc import Sequence

from isthmus.access.errors import PermissionRefused
from isthmus.errors import IsthmusError

__all__ = [
    "AuthenticationFailed",
    "CertificateRefused",
    "ConnectionRefused",
    "CredentialDisabled",
    "CredentialError",
    "CredentialInvalid",
    "CredentialRefused",
    "DiscoveryFailed",
    "InsecureOrigin",
    "ManifestRefused",
    "NotConnected",
    "OutsideOrigin",
    "PrincipalAccessRefused",
    "PrincipalNotConfigured",
    "SecretRefused",
    "SettingsRefused",
    "TokenAnswerBroken",
    "TokenEndpointFailed",
    "TokenEndpointRefused",
    "TokenNeedsCommit",
    "TokenTypeUnsupported",
    "TokenWaitTimedOut",
    "UnknownNamedCredential",
    "UnknownProtocol",
]


class CredentialError(IsthmusError):
    """A callout could not be signed."""

    code = "CREDENTIAL_ERROR"


class CredentialRefused(CredentialError):
    """The credential cannot be used as it is."""

    code = "CREDENTIAL_REFUSED"
    status = 400


class UnknownNamedCredential(CredentialRefused):
    """There is no named credential of this name. Names are matched with upper and lower case."""

    code = "NAMED_CREDENTIAL_NOT_FOUND"
    status = 404


class CredentialDisabled(CredentialRefused):
    """The named credential is switched off. Enable it under Credentials, Named credentials."""

    code = "NAMED_CREDENTIAL_DISABLED"


class PrincipalAccessRefused(CredentialRefused, PermissionRefused):
    """None of the user's permission sets lets them use this principal."""

    code = "INSUFFICIENT_ACCESS"
    status = 403


class PrincipalNotConfigured(CredentialRefused):
    """The principal's secrets are incomplete. Enter them under Credentials, Principals."""

    code = "PRINCIPAL_NOT_CONFIGURED"


class NotConnected(PrincipalNotConfigured):
    """Nobody has consented at the identity provider yet. Connect the principal."""

    code = "PRINCIPAL_NOT_CONNECTED"


class ConnectionRefused(CredentialRefused):
    """The identity provider's answer cannot be taken. Connect again."""

    code = "CONNECTION_REFUSED"


class InsecureOrigin(CredentialRefused):
    """Secrets are sent over https only; plain http takes a credential that allows internal addresses."""

    code = "INSECURE_ORIGIN"


class OutsideOrigin(CredentialRefused):
    """The address leaves the named credential's origin."""

    code = "OUTSIDE_ORIGIN"


class CredentialInvalid(CredentialRefused):
    """This cannot be set up like that."""

    code = "CREDENTIAL_INVALID"


class UnknownProtocol(CredentialRefused):
    """There is no authentication protocol of this name."""

    code = "UNKNOWN_PROTOCOL"


class SettingsRefused(CredentialRefused):
    """The settings do not fit the protocol."""

    code = "PROTOCOL_SETTINGS_INVALID"


class SecretRefused(CredentialRefused):
    """The secret does not fit the protocol."""

    code = "PRINCIPAL_SECRET_INVALID"


class CertificateRefused(CredentialRefused):
    """The certificate or its key cannot be used."""

    code = "CERTIFICATE_INVALID"


class ManifestRefused(CredentialRefused):
    """The manifest cannot be applied; nothing was changed."""

    code = "CREDENTIAL_MANIFEST_INVALID"


class AuthenticationFailed(CredentialError):
    """The other system did not let us in."""

    code = "AUTHENTICATION_FAILED"
    status = 502


class TokenEndpointFailed(AuthenticationFailed):
    """The token endpoint did not do its work. It may later."""

    code = "TOKEN_ENDPOINT_FAILED"
    retryable = True


class TokenEndpointRefused(AuthenticationFailed):
    """The token endpoint refused the principal. Check its secrets and the external credential's settings."""

    code = "TOKEN_ENDPOINT_REFUSED"

    def __init__(self, message: str = "", *, fields: Sequence[str] = (), is_grant_invalid: bool = False) -> None:
        """Tell whether the endpoint said that the grant (a refresh token, say) is over."""
        super().__init__(message, fields=fields)
        self.is_grant_invalid = is_grant_invalid


class TokenAnswerBroken(AuthenticationFailed):
    """The token endpoint answered with something that holds no access token. Check the token URL."""

    code = "TOKEN_ANSWER_BROKEN"


class TokenTypeUnsupported(AuthenticationFailed):
    """The token endpoint gave a token that is not a bearer token; no other type can be used."""

    code = "TOKEN_TYPE_UNSUPPORTED"


class TokenWaitTimedOut(AuthenticationFailed):
    """Another callout is fetching the access token and did not finish in time."""

    code = "TOKEN_WAIT_TIMED_OUT"
    status = 503
    retryable = True


class TokenNeedsCommit(AuthenticationFailed):
    """The token must be renewed, and the open transaction could undo that: end it first, or use callouts.enqueue."""

    code = "TOKEN_NEEDS_COMMIT"
    status = 409


class DiscoveryFailed(AuthenticationFailed):
    """The identity provider's description could not be read. Check the issuer, or enter the endpoints."""

    code = "DISCOVERY_FAILED"
    retryable = True
