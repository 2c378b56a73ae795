"""`Idempotency-Key`: a request that is sent again has its effect once, and its answer is the first one's.

The answer is recorded in the transaction of the effect: whoever asks again after a crash gets it if, and only if, the
effect is there. Refusals are not recorded; they left no effect, and the next attempt may fare better. The header is
that of draft-ietf-httpapi-idempotency-key-header-07.
"""

import hashlib
import re
from collections.abc import Callable
from datetime import timedelta

from apexrest.answers import Answer
from apexrest.conf import options
from apexrest.errors import IdempotencyKeyInUse, IdempotencyKeyMalformed, IdempotencyKeyReused
from apexrest.models import RateState, RecordedAnswer
from apexrest.rest_context import RestRequest
from isthmus import clock, correlation
from isthmus.jobs import queueable
from isthmus.jobs.removal import Removal
from isthmus.named_locks import try_hold

__all__ = ["HEADER", "REPLAYED", "Recorder", "delivery_key", "key_of", "once", "remove_expired_answers"]

HEADER = "Idempotency-Key"
REPLAYED = "Idempotent-Replayed"
"""Says of an answer that it was given before."""

Recorder = Callable[[Answer], None]

_KEY = re.compile(r"[\x21\x23-\x7e]{1,255}")
_QUOTED = re.compile(r'"([\x20-\x21\x23-\x7e]{1,255})"')


def key_of(request: RestRequest) -> str | None:
    """Return the request's key, `None` without one: a webhook's delivery is its own. Raises `IdempotencyKeyMalformed`.

    The draft writes a key as a quoted text; most clients leave the quotes out, which is taken, too.
    """
    if request.delivery_id:
        return delivery_key(request.mapping, request.delivery_id)
    given = request.headers.get(HEADER)
    if given is None:
        return None
    quoted = _QUOTED.fullmatch(given.strip())
    if quoted is None and not _KEY.fullmatch(given.strip()):
        raise IdempotencyKeyMalformed
    return quoted[1] if quoted else given.strip()


def delivery_key(mapping: str, delivery_id: str) -> str:
    """Return the key of a webhook's delivery to the resource of this mapping."""
    # Of any length, and each its own: what is cut off could be all that tells two of them apart.
    told = f"{mapping} {delivery_id}"
    return f"delivery {hashlib.sha256(told.encode()).hexdigest()}"


def once(request: RestRequest, key: str, perform: Callable[[Recorder], Answer]) -> Answer:
    """Return the recorded answer, or that of `perform`, which hands its answer over in the transaction of its effect.

    Raises `IdempotencyKeyReused` when the key came with another request before, and `IdempotencyKeyInUse` while the
    first one still runs.
    """
    caller, fingerprint = request.caller, _fingerprint(request)
    if (known := _known(caller, key, fingerprint)) is not None:
        return known
    with try_hold(f"idempotency {caller} {key}") as is_held:
        if not is_held:
            raise IdempotencyKeyInUse
        # The first one may have ended between the look and the lock.
        if (known := _known(caller, key, fingerprint)) is not None:
            return known
        return perform(lambda answer: _record(request, caller, key, fingerprint, answer))


def _known(caller: str, key: str, fingerprint: str) -> Answer | None:
    found = RecordedAnswer.objects.filter(caller=caller, key=key, expires_at__gt=clock.now()).first()
    if found is None:
        return None
    if found.fingerprint != fingerprint:
        raise IdempotencyKeyReused
    return Answer(status=found.status, content=bytes(found.content), headers={**found.headers, REPLAYED: "true"})


def _record(request: RestRequest, caller: str, key: str, fingerprint: str, answer: Answer) -> None:
    now = clock.now()
    hours = options.webhook_hours if request.delivery_id else options.idempotency_hours
    RecordedAnswer.objects.update_or_create(
        caller=caller,
        key=key,
        # Only an expired one can be there: the key is held.
        defaults={
            "fingerprint": fingerprint,
            "method": request.method,
            "path": request.path[:2_000],
            "status": answer.status,
            "headers": answer.headers,
            "content": answer.content,
            "correlation_id": correlation.current()[:128],
            "created_at": now,
            "expires_at": now + timedelta(hours=hours),
        },
    )


def _fingerprint(request: RestRequest) -> str:
    if request.delivery_id:
        # Senders count their attempts in the body: it is the same delivery nevertheless.
        return "delivery"
    query = sorted((name, values) for name, values in request.query_lists.items())
    told = f"{request.method}\n{request.path}\n{query}\n{request.headers.get('Content-Type', '')}\n"
    return hashlib.sha256(told.encode() + request.body).hexdigest()


@queueable(max_attempts=3, kind="Maintenance", time_limit_seconds=3_600)
def remove_expired_answers() -> dict[str, object]:
    """Remove recorded answers whose time is over, and rates that are long paid for."""
    now, removal = clock.now(), Removal()
    removal.remove("answers", RecordedAnswer.objects.filter(expires_at__lte=now), order="expires_at")
    removal.remove("rates", RateState.objects.filter(paid_until__lt=now.timestamp()), order="pk")
    return {"removed": removal.counts["answers"]}
