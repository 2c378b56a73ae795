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
