"""Lets a request in, or not: by the limits of its endpoint, or those that an operator set in their place."""

import math
from collections.abc import Iterator
from contextlib import contextmanager

from django.db import OperationalError, connection

from apexrest.conf import options
from apexrest.errors import AddressRefused, EndpointTooSlow, RateExceeded, TooManyAtOnce
from apexrest.limits import Limits, Rate
from apexrest.models import EndpointLimits, RateState
from isthmus import clock
from isthmus.access.client_address import is_inside
from isthmus.named_locks import hold_one
from isthmus.remembering import Remembered

__all__ = ["admit", "forget_limits", "limits_in_force", "limits_with", "one_at_a_place", "within_time"]

_remembered: Remembered[str, Limits | None] = Remembered(lambda: options.limits_seconds)
_STEPS_BETWEEN_LOOKS = 20_000


def limits_in_force(mapping: str, declared: Limits) -> Limits:
    """Return the limits of a resource: the settings', narrowed by the code's, replaced by the operator's."""
    set_by_operator = _remembered.get(mapping, lambda: _set_by_operator(mapping))
    found = _usual().overridden_by(declared)
    return found.overridden_by(set_by_operator) if set_by_operator else found


def limits_with(declared: Limits, row: EndpointLimits | None) -> Limits:
    """Return the limits of a resource like `limits_in_force`, with the operator's row at hand."""
    found = _usual().overridden_by(declared)
    return found.overridden_by(_limits_of(row)) if row else found


def _usual() -> Limits:
    return Limits(max_body_bytes=options.max_body_bytes, max_seconds=options.max_seconds)


def forget_limits() -> None:
    """Read what operators set anew."""
    _remembered.forget()


def admit(mapping: str, limits: Limits, *, caller: str, address: str) -> None:
    """Return if a request from `address` by `caller` may come in now. Raises `AddressRefused` or `RateExceeded`."""
    if limits.ip_ranges and not is_inside(address, limits.ip_ranges):
        raise AddressRefused
    if limits.rate:
        _pay(f"{mapping} {caller}", Rate.parse(limits.rate))


@contextmanager
def one_at_a_place(mapping: str, limits: Limits) -> Iterator[None]:
    """Run the block as one of the `concurrency` that may run. Raises `TooManyAtOnce`."""
    if limits.concurrency is None:
        yield
        return
    with hold_one(f"endpoint {mapping}", limits.concurrency) as is_held:
        if not is_held:
            raise TooManyAtOnce
        yield


@contextmanager
def within_time(limits: Limits, *, is_declared: bool) -> Iterator[None]:
    """Raise `EndpointTooSlow` from a block that takes too long; the transaction around it must then be undone.

    A limit that the endpoint itself has also ends a statement that the database is busy with.
    """
    if limits.max_seconds is None:
        yield
        return
    ends_at = clock.monotonic_seconds() + limits.max_seconds
    if not is_declared:
        yield
    else:
        with _statements_end(limits.max_seconds, ends_at):
            yield
    if clock.monotonic_seconds() > ends_at:
        raise EndpointTooSlow


@contextmanager
def _statements_end(seconds: float, ends_at: float) -> Iterator[None]:
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT set_config('statement_timeout', %s, true)", [str(math.ceil(seconds * 1000))])
    else:
        connection.ensure_connection()
        connection.connection.set_progress_handler(
            lambda: int(clock.monotonic_seconds() > ends_at), _STEPS_BETWEEN_LOOKS
        )
    try:
        yield
    except OperationalError as error:
        if clock.monotonic_seconds() >= ends_at:
            raise EndpointTooSlow from error
        raise
    finally:
        if connection.vendor != "postgresql":
            connection.connection.set_progress_handler(None, 0)


def _set_by_operator(mapping: str) -> Limits | None:
    row = EndpointLimits.objects.filter(mapping=mapping).first()
    return None if row is None else _limits_of(row)


def _limits_of(row: EndpointLimits) -> Limits:
    ranges = tuple(line.strip() for line in (row.ip_ranges or "").splitlines() if line.strip())
    return Limits(
        max_body_bytes=row.max_body_bytes or None,
        rate=row.rate or None,
        concurrency=row.concurrency or None,
        ip_ranges=ranges or None,
        max_seconds=row.max_seconds or None,
    )


def _pay(key: str, rate: Rate) -> None:
    """Take one request off what the rate allows, in one statement (the generic cell rate algorithm).

    Each request costs `seconds / requests`; whoever is further ahead than the whole period waits.
    """
    now = clock.now().timestamp()
    cost = rate.seconds / rate.requests
    table = connection.ops.quote_name(RateState._meta.db_table)
    latest = "GREATEST" if connection.vendor == "postgresql" else "MAX"
    statement = (
        f"INSERT INTO {table} (key, paid_until) VALUES (%s, %s) ON CONFLICT (key) DO UPDATE "  # noqa: S608 - our names
        f"SET paid_until = {latest}({table}.paid_until, %s) + %s WHERE {table}.paid_until + %s <= %s RETURNING 1"
    )
    with connection.cursor() as cursor:
        cursor.execute(statement, [key, now + cost, now, cost, cost, now + rate.seconds + 1e-6])
        if cursor.fetchone():
            return
    ahead = RateState.objects.filter(key=key).values_list("paid_until", flat=True).first() or now
    raise RateExceeded(retry_after=max(1, math.ceil(ahead + cost - rate.seconds - now)))
