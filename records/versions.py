"""The versions of the API that are answered, all alike."""

import re

from isthmus.objects.describe import API_VERSION

__all__ = ["EARLIEST", "LISTED", "is_answered", "listing"]

EARLIEST, LATEST = 20, int(API_VERSION.split(".")[0])
LISTED = range(58, LATEST + 1)
"""Versions that are listed; earlier ones are answered as well, because clients have them built in."""

_VERSION = re.compile(r"[1-9][0-9]\.0")
_SEASONS = ("Winter", "Spring", "Summer")
# 58.0 is Summer '23; three a year.
_FIRST, _FIRST_SEASON, _FIRST_YEAR = 58, 2, 23


def is_answered(version: str) -> bool:
    """Return whether a version in an address is one of ours."""
    return bool(_VERSION.fullmatch(version)) and EARLIEST <= int(version.split(".")[0]) <= LATEST


def listing() -> list[dict[str, str]]:
    """Return what `GET /services/data` answers, the newest last."""
    return [
        {"label": _label(number), "url": f"/services/data/v{number}.0", "version": f"{number}.0"} for number in LISTED
    ]


def _label(number: int) -> str:
    years, season = divmod(number - _FIRST + _FIRST_SEASON, len(_SEASONS))
    return f"{_SEASONS[season]} '{_FIRST_YEAR + years}"
