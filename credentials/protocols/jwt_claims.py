"""The claims of assertions and tokens that are signed here."""

import json
from collections.abc import Mapping

from credentials.errors import PrincipalNotConfigured, SettingsRefused
from credentials.protocols.base import AuthenticationProtocol
from credentials.protocols.options import ProtocolOption, SettingValue
from credentials.protocols.templates import Template

__all__ = ["CLAIM_OPTIONS", "KEY_ID", "claims_of", "refuse_claim_settings"]

_SET_HERE = {"iss", "sub", "aud", "exp", "iat", "jti"}
_OF_USERS = {"username", "email", "id"}


def _is_claims(text: SettingValue) -> str | None:
    try:
        found = json.loads(str(text))
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        return "Further claims are a JSON object."
    if ours := sorted(_SET_HERE & found.keys()):
        return f"These claims are set by other options: {', '.join(ours)}."
    return None


KEY_ID = ProtocolOption(
    name="key_id", label="Key id (kid)", help_text="How the server knows our key. Empty: the key's thumbprint."
)
CLAIM_OPTIONS = (
    ProtocolOption(
        name="certificate",
        label="Certificate",
        type="certificate",
        is_required=True,
        help_text="Its private key signs (RS256 with an RSA key, ES256 with a P-256 key).",
    ),
    KEY_ID,
    ProtocolOption(name="issuer", label="Issuer (iss)", is_required=True, help_text="Often the client id."),
    ProtocolOption(
        name="subject",
        label="Subject (sub)",
        is_required=True,
        help_text="At a per-user principal {username}, {email} or {id} stand for the user's.",
    ),
    ProtocolOption(name="audience", label="Audience (aud)", help_text="Empty: the address that the token goes to."),
    ProtocolOption(name="claims", label="Further claims", type="long_text", help_text="JSON.", validate=_is_claims),
    ProtocolOption(
        name="lifetime_seconds",
        label="Lifetime in seconds",
        type="number",
        default=180,
        is_required=True,
        validate=lambda seconds: None if 10 <= int(seconds) <= 3600 else "A lifetime is 10 to 3600 seconds.",
    ),
)


def refuse_claim_settings(settings: Mapping[str, SettingValue]) -> None:
    """Raise `SettingsRefused` for a subject that names something else than a user's facts."""
    try:
        unknown = Template.parse(str(settings["subject"])).parameters - _OF_USERS
    except SettingsRefused as error:
        raise SettingsRefused(f"The subject: {error.message}", fields=["subject"]) from None
    if unknown:
        known = ", ".join(sorted(_OF_USERS))
        raise SettingsRefused(f"The subject knows {known}; not {', '.join(sorted(unknown))}.", fields=["subject"])


def claims_of(protocol: AuthenticationProtocol, *, audience: str) -> dict[str, object]:
    """Return the claims that the settings ask for. Raises `PrincipalNotConfigured` when the user lacks one."""
    settings = protocol.settings
    subject = Template.parse(str(settings["subject"]))
    missing = sorted(name for name in subject.parameters if not protocol.user.get(name))
    if missing:
        raise PrincipalNotConfigured(
            f"The subject needs the user's {', '.join(missing)}, which is not known: only a per-user principal has a "
            "user, and the user must have it."
        )
    further = json.loads(str(settings["claims"])) if settings["claims"] else {}
    return {
        **further,
        "iss": str(settings["issuer"]),
        "sub": subject.render(protocol.user),
        "aud": str(settings["audience"]) or audience,
    }
