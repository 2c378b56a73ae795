"""What a batch goes through, a chunk at a time: rows by their key, or any items by their number."""

from collections.abc import Iterable, Iterator, Sequence, Sized
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from itertools import islice
from typing import Any, Protocol
from uuid import UUID

from django.db.models import CompositePrimaryKey, Model, QuerySet
from django.db.models.query import ModelIterable

from isthmus.jobs.errors import BatchSourceRefused
from isthmus.jobs.models import BatchFailure, BatchRun

__all__ = ["Chunk", "Source", "key_of", "source_of"]

_TELLING = (int, str, float, Decimal, date, UUID)
_KEY_LENGTH = 200


@dataclass(frozen=True)
class Chunk:
    """Items that are worked on together."""

    items: list[Any]
    places: list[int | str]
    """Where each of them is found again: its key, or its number."""
    position: int | str
    """Where the batch stands after this chunk."""
    size: int
    """How much of the batch it is; more than the items where some are gone."""


class Source(Protocol):
    """Gives chunks from a position onward."""

    reads_rows: bool
    """Whether chunks are read from the database, in the transaction that works on them."""

    def measure(self) -> tuple[int | None, int | str | None]:
        """Return how many items there are, if that can be told, and the key that is the last one to look at."""

    def read(self, run: BatchRun, size: int) -> Chunk | None:
        """Return the chunk after where `run` stands, `None` after the last."""


def source_of(started: object, run: BatchRun) -> Source:
    """Return how to go through what `start()` returned. Raises `BatchSourceRefused`."""
    places = _failed_places(run) if run.only_failed else None
    if isinstance(started, QuerySet):
        _check(started)
        return _Rows(started) if places is None else _FailedRows(started, places)
    if isinstance(started, str | bytes) or not isinstance(started, Iterable):
        raise BatchSourceRefused(f"start() returned {type(started).__name__}; it returns a QuerySet or an iterable.")
    return _Items(started) if places is None else _FailedItems(started, places)


def key_of(item: object, place: int | str) -> str:
    """Return by what people recognise an item: nothing of a composed one is shown, it may hold anything."""
    if isinstance(item, Model):
        return str(item.pk)[:_KEY_LENGTH]
    return str(item)[:_KEY_LENGTH] if isinstance(item, _TELLING) else f"no. {place}"


class _Rows:
    """Rows in the order of their primary key: rows that come and go meanwhile move no other row."""

    reads_rows = True

    def __init__(self, rows: "QuerySet[Any]") -> None:
        self._rows = rows.order_by("pk")

    def measure(self) -> tuple[int | None, int | str | None]:
        last = self._rows.order_by("-pk").values_list("pk", flat=True).first()
        return self._rows.count(), None if last is None else _plain(last)

    def read(self, run: BatchRun, size: int) -> Chunk | None:
        if run.last_key is None:
            return None
        rows = self._rows.filter(pk__lte=run.last_key)
        if run.position is not None:
            rows = rows.filter(pk__gt=run.position)
        items = list(rows[:size])
        places = [_plain(item.pk) for item in items]
        return Chunk(items, places, places[-1], len(items)) if items else None


class _FailedRows:
    """Rows by their keys; those that are gone, or no longer among the batch's, are passed over."""

    reads_rows = True

    def __init__(self, rows: "QuerySet[Any]", places: Sequence[int | str]) -> None:
        self._rows, self._places = rows.order_by("pk"), places

    def measure(self) -> tuple[int | None, int | str | None]:
        return len(self._places), None

    def read(self, run: BatchRun, size: int) -> Chunk | None:
        begin = run.position or 0
        places = self._places[begin : begin + size]
        if not places:
            return None
        items = list(self._rows.filter(pk__in=places))
        return Chunk(items, [_plain(item.pk) for item in items], begin + len(places), len(places))


class _Items:
    """Items by their number: passed over up to where the batch stands."""

    reads_rows = False

    def __init__(self, items: Iterable[Any]) -> None:
        self._total = len(items) if isinstance(items, Sized) else None
        self._numbered = self._chosen(items)
        self._passed = 0

    def _chosen(self, items: Iterable[Any]) -> Iterator[tuple[int, Any]]:
        return enumerate(items)

    def measure(self) -> tuple[int | None, int | str | None]:
        return self._total, None

    def read(self, run: BatchRun, size: int) -> Chunk | None:
        begin = run.position or 0
        for _ in islice(self._numbered, begin - self._passed):
            pass
        found = list(islice(self._numbered, size))
        self._passed = begin + len(found)
        places: list[int | str] = [number for number, _ in found]
        return Chunk([item for _, item in found], places, self._passed, len(found)) if found else None


class _FailedItems(_Items):
    """Those items whose numbers are given."""

    def __init__(self, items: Iterable[Any], places: Sequence[int | str]) -> None:
        self._places = frozenset(places)
        super().__init__(items)
        self._total = len(self._places)

    def _chosen(self, items: Iterable[Any]) -> Iterator[tuple[int, Any]]:
        return (each for each in enumerate(items) if each[0] in self._places)


def _failed_places(run: BatchRun) -> list[int | str]:
    if run.retry_of_id is None:
        raise BatchSourceRefused("The operation whose failed items it takes was removed.")
    failures = BatchFailure.objects.filter(job=run.retry_of_id).order_by("chunk").values_list("items", flat=True)
    return [place for items in failures for place, *_ in items]


def _check(rows: "QuerySet[Any]") -> None:
    if rows.query.is_sliced or rows.query.combinator:
        raise BatchSourceRefused(
            "start() returned a QuerySet that is sliced or combined; return one that can be filtered."
        )
    # What `values()` and `values_list()` return has no key.
    if rows._iterable_class is not ModelIterable:  # noqa: SLF001 - the only thing that tells
        raise BatchSourceRefused("start() returned a QuerySet of values; return one of model instances.")
    if isinstance(rows.model._meta.pk, CompositePrimaryKey):
        raise BatchSourceRefused("start() returned rows with a composite primary key; return an iterable of them.")


def _plain(key: Any) -> int | str:
    return key if isinstance(key, int | str) else str(key)
