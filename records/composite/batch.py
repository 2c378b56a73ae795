"""Parts that have nothing to do with each other: each is done, and kept, by itself.

Reference: https://developer.salesforce.com/docs/atlas.en-us.api_rest.meta/api_rest/requests_batch.htm
"""

from typing import Any

from records.calls import Answer, Call
from records.composite import shapes
from records.composite.subrequests import Part, ask_alone, read_address, read_method
from records.errors import BodyRefused, PartLimitExceeded

__all__ = ["MAX_PARTS", "run"]

MAX_PARTS = 25

_ROOT = "/services/data/"
_HALTED = Answer(
    status=412,
    body=[
        {
            "errorCode": "BATCH_PROCESSING_HALTED",
            "message": "Batch processing halted per request since a prior subrequest failed.",
        }
    ],
)


def run(call: Call) -> dict[str, Any]:
    """Do the parts in the body of a call; return an answer each, in order. Raises what is wrong with the whole."""
    body = call.json_object()
    halts = shapes.as_flag(body.get("haltOnError"), "haltOnError")
    given = shapes.as_list(body.get("batchRequests"), "batchRequests")
    if not given:
        raise BodyRefused("batchRequests must have at least one subrequest.")
    if len(given) > MAX_PARTS:
        raise PartLimitExceeded(f"A batch has at most {MAX_PARTS} subrequests.")
    parts = [_read(one, f"batchRequests[{place}]") for place, one in enumerate(given)]
    answers: list[Answer] = []
    has_errors = False
    for part in parts:
        found = _HALTED if halts and has_errors else ask_alone(part, call, within="batch")
        has_errors = has_errors or not found.succeeded
        answers.append(found)
    results = [{"statusCode": answer.status, "result": answer.body} for answer in answers]
    return {"hasErrors": has_errors, "results": results}


def _read(given: Any, name: str) -> Part:
    found = shapes.as_object(given, name)
    url = shapes.as_text(found.get("url"), f"{name}.url")
    below = url.lstrip("/")
    full = f"/{below}" if below.startswith(_ROOT.lstrip("/")) else f"{_ROOT}{below}"
    return Part(
        method=read_method(found.get("method"), name),
        address=read_address(full, name),
        body=found.get("richInput"),
    )
