"""A time line to take along: a ZIP for a support case, with what the pages show and nothing that they mask.

Everything passes once more through the maskers that apps register, so that a secret which somebody put where no secret
belongs (the arguments of a job, the payload of an event) goes by its name.
"""

import io
import json
import re
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from typing import Any

from django.core.serializers.json import DjangoJSONEncoder

from isthmus import clock
from isthmus.console import timeline
from isthmus.console.timeline import Entry, TimeLine

__all__ = ["Masker", "bundle_of", "file_name", "masked", "register_masker", "register_masker_temporarily"]

Masker = Callable[[Any], Any]
"""Given a value as JSON has it, the same with everything masked that is recognised as a secret."""

_maskers: list[Masker] = []

_README = """\
What happened around {reference}
{underline}

Made {made_at} by {made_by} with Isthmus {version}.

time-line.json   every entry in the order of time, with what it came from as far as that is known
entries/         what the page of each entry tells, one file an entry; its number is that of the time line

What was redacted
-----------------
Masked as ******** are, wherever they stand: values of headers, parameters, JSON members and XML elements whose names
are known for secrets (password, secret, token, authorization, API key, cookie, signature and the like); values that
look like credentials (Bearer and Basic headers, the token in a callback address); and what the installation's own
redaction rules name. Bodies are kept up to the size at which the integration log cuts them, and what is no text as its
size and SHA-256. Credentials and tokens of the platform are never read for this file.
{cut}
What was not redacted is the data itself: names, amounts and addresses stand here as in the console. Give it to people
who may know them.
"""
_CUT = """
Not everything is here: each kind of entry ends with its first {limit}.
"""


def register_masker(masker: Masker) -> None:
    """Let everything that leaves in a bundle pass through `masker`."""
    _maskers.append(masker)


@contextmanager
def register_masker_temporarily(masker: Masker) -> Iterator[None]:
    """Add a masker while the block runs (for tests)."""
    _maskers.append(masker)
    try:
        yield
    finally:
        _maskers.remove(masker)


def masked(value: Any) -> Any:
    """Return a value that can be written as JSON as JSON reads it, with what is secret masked."""
    found = json.loads(json.dumps(value, cls=DjangoJSONEncoder))
    for masker in _maskers:
        found = masker(found)
    return found


def file_name(reference: str) -> str:
    """Return what the file is called."""
    return f"time-line-{re.sub(r'[^A-Za-z0-9.-]+', '-', reference)[:60].strip('-.') or 'bundle'}.zip"


def bundle_of(line: TimeLine, *, made_by: str) -> bytes:
    """Return the ZIP of a time line."""
    details = timeline.details_of(line.entries)
    names = {number: _file_of(number, entry) for number, entry in _numbered(line.entries) if entry.id in details}
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("README.txt", _readme(line, made_by))
        archive.writestr("time-line.json", _as_json(masked(_overview(line, names, made_by))))
        for number, entry in _numbered(line.entries):
            if number in names:
                archive.writestr(names[number], _as_json(masked(details[entry.id])))
    return made.getvalue()


def _numbered(entries: Sequence[Entry]) -> list[tuple[int, Entry]]:
    return list(enumerate(entries, start=1))


def _file_of(number: int, entry: Entry) -> str:
    return f"entries/{number:04}-{re.sub(r'[^a-z0-9]+', '-', entry.kind.lower()).strip('-')}.json"


def _readme(line: TimeLine, made_by: str) -> str:
    title = f"What happened around {line.reference}"
    return _README.format(
        reference=line.reference,
        underline="=" * len(title),
        made_at=f"{clock.now():%Y-%m-%d %H:%M:%S} UTC",
        made_by=made_by,
        version=version("isthmus"),
        cut=_CUT.format(limit=timeline.ENTRIES_SHOWN) if line.is_cut else "",
    )


def _overview(line: TimeLine, names: Mapping[int, str], made_by: str) -> dict[str, Any]:
    return {
        "reference": line.reference,
        "correlation_ids": line.correlation_ids,
        "made_at": clock.now(),
        "made_by": made_by,
        "software": {"name": "isthmus", "version": version("isthmus")},
        "is_cut": line.is_cut,
        "entries": [_told(number, entry, names.get(number)) for number, entry in _numbered(line.entries)],
    }


def _told(number: int, entry: Entry, name: str | None) -> dict[str, Any]:
    return {
        "number": number,
        "id": entry.id,
        "at": entry.at,
        "ended_at": entry.ended_at,
        "kind": entry.kind,
        "lane": entry.lane.value,
        "title": entry.title,
        "status": entry.status.label,
        "detail": entry.detail,
        "correlation_id": entry.correlation_id,
        "causes": entry.causes,
        "file": name,
    }


def _as_json(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"
