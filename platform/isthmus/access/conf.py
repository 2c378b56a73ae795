"""The app's options."""

import re

from isthmus.conf import Options, option

__all__ = ["AccessOptions"]

_ORGANIZATION_ID = re.compile(r"00D[0-9A-Za-z]{12}")


def _malformed(value: str) -> str | None:
    return None if not value or _ORGANIZATION_ID.fullmatch(value) else "It takes 00D and twelve letters or digits."


class AccessOptions(Options, prefix="ISTHMUS_ACCESS_"):
    """What can be chosen about tokens and about who this instance says it is."""

    organization_id = option(
        "",
        help_text="The 15-character organisation id that clients are told; empty: made from ISTHMUS_BASE_URL.",
        validate=_malformed,
    )
    last_used_precision_seconds = option(
        60,
        help_text="How exact an API client's time of last use is; each write of it costs one statement.",
        minimum=1,
        maximum=86_400,
    )
    trusted_proxies = option(
        0, help_text="How many proxies in front append the caller's address to X-Forwarded-For.", minimum=0, maximum=10
    )
    remembered_seconds = option(
        0.9,
        help_text="How long a process remembers a token and its user's grants; a revocation takes effect within it.",
        minimum=0,
        maximum=60,
    )
    daily_api_requests = option(
        1_000_000, help_text="Requests to the API within 24 hours; more are refused.", minimum=1
    )
    use_flush_seconds = option(
        1.0,
        help_text="How long a process gathers the counts of API requests before it writes them; 0 writes each.",
        minimum=0,
        maximum=60,
    )
    use_keep_days = option(
        400, help_text="How long it is kept who called what, hour by hour.", minimum=2, maximum=10_000
    )
    password_flows = option(
        False,
        help_text="Whether clients may log in with a user's name and password (OAuth password flow, SOAP login).",
    )
    totp_for_administrators = option(
        False, help_text="Whether staff and superusers must give a code of an authenticator app; on in production."
    )
    jwt_audiences = option(
        "", help_text="Audiences that JWT assertions may name beside this instance and Salesforce's login addresses."
    )
