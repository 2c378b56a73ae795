"""Conditional requests (RFC 9110, 13): read only what changed, write only what did not."""

from collections.abc import Mapping
from datetime import datetime
from email.utils import format_datetime, parsedate_to_datetime

from records.errors import ConditionMalformed, PreconditionFailed
from records.reading import Stored

__all__ = ["headers_of", "is_conditional", "is_unchanged", "require_unchanged"]


def headers_of(stored: Stored) -> dict[str, str]:
    """Return the headers that name this version of the record."""
    found = {"ETag": f'"{stored.etag}"'}
    if stored.changed_at is not None:
        found["Last-Modified"] = format_datetime(stored.changed_at, usegmt=True)
    return found


def is_unchanged(headers: Mapping[str, str], stored: Stored) -> bool:
    """Return whether the reader has this version already (`If-None-Match`, else `If-Modified-Since`)."""
    tags = headers.get("If-None-Match")
    if tags is not None:
        return _names(tags, stored)
    since = _date(headers.get("If-Modified-Since"))
    return since is not None and stored.changed_at is not None and stored.changed_at <= since


def is_conditional(headers: Mapping[str, str]) -> bool:
    """Return whether a write is to be done only if the record is as the caller believes it to be."""
    return "If-Match" in headers or "If-Unmodified-Since" in headers


def require_unchanged(headers: Mapping[str, str], stored: Stored, *, is_write: bool = True) -> None:
    """Return if the record is as the caller believes it to be.

    Raises `PreconditionFailed`; for a write also `ConditionMalformed`, where a read goes on without the condition.
    """
    tags, given = headers.get("If-Match"), headers.get("If-Unmodified-Since")
    since = _date(given)
    if is_write and tags is not None and any(tag.strip().startswith("W/") for tag in tags.split(",")):
        raise ConditionMalformed("If-Match compares strongly; a weak tag never matches.")
    if is_write and given is not None and since is None:
        raise ConditionMalformed("If-Unmodified-Since is no HTTP date.")
    if tags is not None and not _names(tags, stored):
        raise PreconditionFailed
    if since is not None and stored.changed_at is not None and stored.changed_at > since:
        raise PreconditionFailed


def _names(tags: str, stored: Stored) -> bool:
    given = [tag.strip() for tag in tags.split(",")]
    return "*" in given or any(tag.removeprefix("W/").strip('"') == stored.etag for tag in given)


def _date(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        found = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    return found if found.tzinfo is not None else None
