"""Parts that are done one after the other and may refer to what earlier ones answered.

Reference: https://developer.salesforce.com/docs/atlas.en-us.api_rest.meta/api_rest/requests_composite.htm
"""

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from typing import Any

from django.db import transaction

from records.calls import Answer, Call
from records.composite import collections, shapes
from records.composite.references import References
from records.composite.subrequests import Part, ask, ask_alone, read_part
from records.errors import BodyRefused, PartLimitExceeded

__all__ = ["MAX_PARTS", "MAX_QUERIES", "all_together", "as_bodies", "halted", "read_parts", "run"]

MAX_PARTS = 25
MAX_QUERIES = 5
"""Parts of one request that may be queries, searches or collections."""

_QUERIES = {"query", "queryall", "search", "parameterizedsearch", "composite"}
_WITHIN = "composite"
_HALTED = "The transaction was rolled back since another operation in the same transaction failed."


def run(call: Call) -> list[dict[str, Any]]:
    """Do the parts in the body of a call; return an answer each, in order. Raises what is wrong with the whole."""
    body = call.json_object()
    all_or_none = shapes.as_flag(body.get("allOrNone"), "allOrNone")
    shapes.as_flag(body.get("collateSubrequests"), "collateSubrequests")
    given = shapes.as_list(body.get("compositeRequest"), "compositeRequest")
    if len(given) > MAX_PARTS:
        raise PartLimitExceeded(f"A composite request has at most {MAX_PARTS} subrequests.")
    parts = read_parts(given, "compositeRequest")
    if sum(part.address.resource in _QUERIES for part in parts) > MAX_QUERIES:
        raise PartLimitExceeded(f"At most {MAX_QUERIES} subrequests may be queries, searches or collections.")
    answers = all_together(call, parts, within=_WITHIN) if all_or_none else _each_alone(call, parts)
    return as_bodies(parts, answers)


def read_parts(given: Sequence[Any], name: str) -> list[Part]:
    """Return the parts in a list that must have some, each with a reference id of its own. Raises `BodyRefused`."""
    if not given:
        raise BodyRefused(f"{name} must have at least one subrequest.")
    parts = [read_part(one, f"{name}[{place}]") for place, one in enumerate(given)]
    seen: set[str] = set()
    for part in parts:
        if part.reference_id in seen:
            raise BodyRefused(f"{name} has the referenceId {part.reference_id[:100]} more than once.")
        seen.add(part.reference_id)
    return parts


def all_together(call: Call, parts: Sequence[Part], *, within: str) -> dict[str, Answer]:
    """Do the parts in this order, all or none of them; return the answers by reference id.

    When one fails, nothing of any is kept, and every other is answered as halted.
    """
    answers: dict[str, Answer] = {}
    has_writes = any(part.writes for part in parts)
    with transaction.atomic() if has_writes else nullcontext():
        for part in parts:
            found = ask(part.all_or_none(), call, within=within, references=References(answers))
            answers[part.reference_id] = found
            if not _is_done(part, found):
                if has_writes:
                    transaction.set_rollback(True)
                return {one.reference_id: found if one is part else halted() for one in parts}
    return answers


def halted(why: str = _HALTED) -> Answer:
    """Return the answer for a part that was not done, or was undone, because of another."""
    return Answer(status=400, body=[{"errorCode": "PROCESSING_HALTED", "message": why}])


def as_bodies(parts: Sequence[Part], answers: Mapping[str, Answer]) -> list[dict[str, Any]]:
    """Return the answers as they are listed, in the order of the parts."""
    found = [(part.reference_id, answers[part.reference_id]) for part in parts]
    return [
        {
            "body": answer.body,
            "httpHeaders": dict(answer.headers),
            "httpStatusCode": answer.status,
            "referenceId": reference_id,
        }
        for reference_id, answer in found
    ]


def _each_alone(call: Call, parts: Sequence[Part]) -> dict[str, Answer]:
    answers: dict[str, Answer] = {}
    for part in parts:
        answers[part.reference_id] = ask_alone(part, call, within=_WITHIN, references=References(answers))
    return answers


def _is_done(part: Part, answer: Answer) -> bool:
    if not answer.succeeded:
        return False
    # A collection succeeds with whatever its records came to; when all or none are wanted, each of them counts.
    return not (part.is_collection and isinstance(answer.body, list)) or collections.is_all_written(answer.body)
