"""Everything that is connected with this installation, one line each: how it is, and when it last worked or failed."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

from django.urls import reverse

from isthmus import clock
from isthmus.console.rollups import counting, reading
from isthmus.console.rollups.series import Kind, Series, register_series
from isthmus.console.tones import Status, Tone
from isthmus.logs import get_logger

__all__ = [
    "BROKERS",
    "Broker",
    "Connection",
    "ConnectionSource",
    "all_connections",
    "ask_brokers",
    "register_broker",
    "register_broker_temporarily",
    "register_connections",
    "register_connections_temporarily",
]

log = get_logger(__name__)


@dataclass(frozen=True, kw_only=True)
class Connection:
    """One line."""

    kind: str
    """What it is, in the plural and with a capital letter: lines of one kind stand together."""
    name: str
    status: Status
    url: str
    """Its page; "" when it has none."""
    detail: str = ""
    """A few words below the name: an address, a topic."""
    last_success_at: datetime | None = None
    last_failure_at: datetime | None = None
    failure: str = ""
    """What is known of the last failure."""
    p95_ms: float | None = None
    """How long 95 of 100 took at most, in the last 24 hours."""
    number: int | None = None
    """How many there were in the last 24 hours; `None` where nothing is counted."""


ConnectionSource = Callable[[], Iterable[Connection]]


@dataclass(frozen=True, kw_only=True)
class Broker:
    """A service that the platform's processes lean on, which is asked now and then whether it is there."""

    name: str
    """Short and stable: its answers are counted under it."""
    label: str
    url_name: str
    """The page that shows what leans on it."""
    detail: Callable[[], str]
    ask: Callable[[], object]
    """Returns when it is well; raises when it is not."""


BROKERS = Series(
    name="brokers",
    subject="Answers of brokers",
    kinds=(Kind(name="answered", label="answered", tone="good"), Kind(name="failed", label="failed", tone="bad")),
    measure=None,
)
_sources: list[ConnectionSource] = []
_brokers: dict[str, Broker] = {}


def register_connections(source: ConnectionSource) -> None:
    """Let the page *Connections* show what `source` returns; it costs a constant number of queries."""
    _sources.append(source)


@contextmanager
def register_connections_temporarily(source: ConnectionSource) -> Iterator[None]:
    """Show what `source` returns while the block runs (for tests)."""
    register_connections(source)
    try:
        yield
    finally:
        _sources.remove(source)


def register_broker(broker: Broker) -> None:
    """Let a broker be asked with every roll-up, and shown. Raises `ValueError` when its name is taken."""
    if broker.name in _brokers:
        raise ValueError(f"A broker named {broker.name!r} is registered already.")
    _brokers[broker.name] = broker


@contextmanager
def register_broker_temporarily(broker: Broker) -> Iterator[None]:
    """Register while the block runs (for tests)."""
    register_broker(broker)
    try:
        yield
    finally:
        del _brokers[broker.name]


def all_connections() -> dict[str, list[Connection]]:
    """Return the lines by their kind, those that are unwell first."""
    found: dict[str, list[Connection]] = {}
    for source in (*_sources, _broker_lines):
        for connection in source():
            found.setdefault(connection.kind, []).append(connection)
    return {
        kind: sorted(lines, key=lambda line: (_ORDER.get(line.status.tone, 2), line.name))
        for kind, lines in found.items()
    }


_ORDER = {Tone.BAD: 0, Tone.WARNING: 1, Tone.NEUTRAL: 3}


def ask_brokers() -> None:
    """Ask every broker whether it is there, and count its answer."""
    for broker in _brokers.values():
        began = clock.monotonic_seconds()
        try:
            broker.ask()
        except Exception as error:  # noqa: BLE001 - each broker fails in its own way, and one must not hide the others
            log.warning("broker.no_answer", broker=broker.name, error=type(error).__name__)
            answer = "failed"
        else:
            answer = "answered"
        took = (clock.monotonic_seconds() - began) * 1000
        counting.add(BROKERS, scope=broker.name, kind=answer, durations=[took])


def _broker_lines() -> Iterator[Connection]:
    lately, last = reading.of_scopes(BROKERS.name), reading.last_of_scopes(BROKERS.name)
    for broker in _brokers.values():
        answered, failed = last.get((broker.name, "answered")), last.get((broker.name, "failed"))
        measured = lately.get(broker.name)
        yield Connection(
            kind="Brokers",
            name=broker.label,
            detail=broker.detail(),
            status=_broker_status(answered, failed),
            url=reverse(broker.url_name),
            last_success_at=answered,
            last_failure_at=failed,
            p95_ms=measured.durations.percentile(95) if measured else None,
            number=measured.number if measured else 0,
        )


def _broker_status(answered: datetime | None, failed: datetime | None) -> Status:
    if answered is None and failed is None:
        return Status("Not asked yet", Tone.NEUTRAL)
    if failed is not None and (answered is None or failed > answered):
        return Status("No answer", Tone.BAD)
    return Status("Answers", Tone.GOOD)


def register_series_of_brokers() -> None:
    """Let the brokers' answers be counted; called once, when the app is ready."""
    register_series(BROKERS)
