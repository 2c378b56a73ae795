"""Bulk actions: an app's own single action, on many rows of a list, in one background operation.

An app registers what can be done with the rows of a list. The shell shows what would happen, and hands what was asked
to the runner that the floor above installs; the runner calls `steps`, which acts on one row after the other. A row's
effects and the note that it was acted on are one transaction: an operation that was cut off goes on where it stopped.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, Protocol, TypeVar
from uuid import UUID

from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.db.models import F, Model, Q, QuerySet

from isthmus import clock
from isthmus.access import policy
from isthmus.access.errors import PermissionRefused
from isthmus.audit import actions as audit
from isthmus.console.access import ANYWHERE, KIND
from isthmus.console.errors import BulkActUnknown, BulkChanged, BulkOvertaken, BulkRefused
from isthmus.console.filters import FilterForm
from isthmus.console.listings import QueryListing, find_listing
from isthmus.console.models import BulkOperation, BulkRefusal
from isthmus.console.tones import Status
from isthmus.errors import IsthmusError

__all__ = [
    "BulkAct",
    "Runner",
    "Selection",
    "Step",
    "acts_of",
    "current_runner",
    "find_act",
    "finish",
    "install_runner",
    "register_acts",
    "register_acts_temporarily",
    "selection_of",
    "start",
    "steps",
    "use_runner",
]

M = TypeVar("M", bound=Model)

_KEYS_AT_ONCE = 200
_LONGEST_TITLE = 255


@dataclass(frozen=True, kw_only=True)
class BulkAct(Generic[M]):
    """Something that can be done with rows of a list."""

    name: str
    label: str
    """A verb: "Retry"."""
    icon: str
    told: str
    """What will happen with each row, as a sentence."""
    suits: Callable[[], Q]
    """Which rows it can be done with; the others are left alone."""
    perform: Callable[[M, User], str]
    """The app's own action, for this user. Returns "" when it was done, else why not; what it wrote stays.

    An `IsthmusError` undoes the row and is listed as the reason. Runs in a transaction.
    """
    is_grave: bool = False
    """Whether it cannot be taken back."""


class Runner(Protocol):
    """Does what was asked, in the background."""

    def start(self, operation: BulkOperation, user: User) -> str:
        """Begin once the open transaction is committed; return the address of the page that shows it."""

    def status_of(self, operation: BulkOperation) -> Status | None:
        """Return where it stands, `None` when that is no longer known."""


_acts: dict[str, dict[str, BulkAct[Any]]] = {}
_runner: Runner | None = None


def register_acts(listing: str, *acts: BulkAct[Any]) -> None:
    """Add actions to a list that is registered.

    Raises `ValueError` for a name that it has already, and `TypeError` for a list that is no table.
    """
    if not isinstance(find_listing(listing), QueryListing):
        raise TypeError(f"{listing}: only rows of a table can be acted on.")
    known = _acts.setdefault(listing, {})
    for act in acts:
        if act.name in known:
            raise ValueError(f"{listing} has an action {act.name!r} already.")
        known[act.name] = act


@contextmanager
def register_acts_temporarily(listing: str, *acts: BulkAct[Any]) -> Iterator[None]:
    """Add actions while the block runs (for tests)."""
    register_acts(listing, *acts)
    try:
        yield
    finally:
        for act in acts:
            del _acts[listing][act.name]


def acts_of(listing: str) -> list[BulkAct[Any]]:
    """Return what can be done with rows of a list; nothing where nobody would do it."""
    return list(_acts.get(listing, {}).values()) if _runner is not None else []


def find_act(listing: str, name: str) -> BulkAct[Any]:
    """Return the action of this name. Raises `BulkActUnknown`."""
    try:
        return _acts[listing][name]
    except KeyError:
        raise BulkActUnknown(f"The list {listing!r} has no bulk action {name!r}.") from None


def install_runner(runner: Runner | None) -> None:
    """Let `runner` do what is asked from now on."""
    global _runner
    _runner = runner


@contextmanager
def use_runner(runner: Runner | None) -> Iterator[None]:
    """Let `runner` do what is asked while the block runs (for tests)."""
    before = _runner
    install_runner(runner)
    try:
        yield
    finally:
        install_runner(before)


def current_runner() -> Runner:
    """Return who does what is asked. Raises `BulkRefused` without anybody."""
    if _runner is None:
        raise BulkRefused("Nobody here does bulk actions.")
    return _runner


@dataclass(frozen=True, kw_only=True)
class Selection:
    """Rows of a list and what is to be done with them."""

    listing: QueryListing[Any, Any]
    act: BulkAct[Any]
    filters: Mapping[str, str]
    keys: Sequence[str] | None
    """Rows that were chosen one by one; `None`: all that the filters let through."""
    asked_at: datetime

    @property
    def form(self) -> FilterForm[Any]:
        """The filters as of the moment when they were asked. Raises `FilterRefused`."""
        form = self.listing.strict_form(self.filters)
        form.now = self.asked_at
        return form

    def rows(self) -> QuerySet[Any]:
        """Return what is chosen, whether it suits or not. Raises `FilterRefused` and `BulkRefused`."""
        form = self.form
        rows = self.listing.chosen(form).filter(**{f"{form.moment}__lte": self.asked_at})
        if self.keys is None:
            return rows
        return rows.filter(pk__in=[self.as_key(key) for key in self.keys])

    def suited(self) -> QuerySet[Any]:
        """Return what is chosen and suits the action."""
        return self.rows().filter(self.act.suits())

    def as_key(self, text: str) -> Any:
        """Return the primary key that a text is. Raises `BulkRefused`."""
        try:
            return self.listing.rows().model._meta.pk.to_python(text)
        except (ValidationError, ValueError, OverflowError) as error:
            raise BulkRefused(f"No row has the key {text!r}.") from error


def selection_of(operation: BulkOperation) -> Selection:
    """Return what an operation is about. Raises `ListingUnknown` and `BulkActUnknown` when the code lost it."""
    listing = find_listing(operation.listing)
    assert isinstance(listing, QueryListing)  # noqa: S101 - register_acts saw to it
    return Selection(
        listing=listing,
        act=find_act(operation.listing, operation.act),
        filters=operation.filters,
        keys=operation.keys,
        asked_at=operation.asked_at,
    )


def start(selection: Selection, user: User, *, expected: int) -> BulkOperation:
    """Begin what was asked in the background.

    `expected` is the number of rows that the user was shown. Raises `PermissionRefused`, `BulkChanged` when there are
    more by now, and `BulkRefused` when there are none.
    """
    policy.require(user, KIND, "operate", ANYWHERE)
    if (begun := _begun(selection, user)) is not None:
        return begun
    try:
        return _begin(selection, user, expected)
    except IntegrityError:
        # The same button, pressed again while this request was under way.
        if (begun := _begun(selection, user)) is not None:
            return begun
        raise BulkChanged("Something else was begun at the same moment. Look again.") from None


def _begin(selection: Selection, user: User, expected: int) -> BulkOperation:
    total = selection.suited().count()
    if not total:
        raise BulkRefused("None of these rows suits the action: nothing is to be done.")
    if total > expected:
        raise BulkChanged(f"By now {total:,} rows match, not {expected:,}. Look again.")
    filters, keys = _kept(selection)
    with transaction.atomic():
        operation = BulkOperation.objects.create(
            listing=selection.listing.name,
            act=selection.act.name,
            filters=filters,
            keys=keys,
            asked_at=selection.asked_at,
            user=user,
            total=total,
        )
        operation.url = current_runner().start(operation, user)
        operation.save(update_fields=["url"])
        audit.record(
            "console.bulk_asked",
            target=f"{operation.listing} {operation.act}",
            details={"operation": str(operation.pk), "rows": total, "filters": operation.filters},
            actor=user,
        )
    return operation


def _begun(selection: Selection, user: User) -> BulkOperation | None:
    """Return what this very preview has begun already: a button may be pressed twice."""
    asked = {"listing": selection.listing.name, "act": selection.act.name, "asked_at": selection.asked_at}
    found = BulkOperation.objects.filter(**asked, user=user).order_by("-created_at")
    return next((each for each in found if (each.filters, each.keys) == _kept(selection)), None)


def _kept(selection: Selection) -> tuple[dict[str, str], list[str] | None]:
    """Return filters and keys as the row has them."""
    return dict(selection.filters), list(selection.keys) if selection.keys is not None else None


@dataclass(frozen=True)
class Step:
    """One row that was looked at."""

    number: int
    key: str
    title: str
    reason: str
    """Why nothing was done; "" when it was done."""


def steps(operation_id: UUID, *, stops: tuple[type[BaseException], ...]) -> Iterator[Step]:
    """Act on one row after the other and yield each; go on after the row that was looked at last.

    Errors of the types `stops` are the runner's own and end it. Raises `PermissionRefused` as soon as the user who
    asked may no longer operate the console, and `BulkOvertaken` when somebody else goes on with the operation.
    """
    operation = BulkOperation.objects.get(pk=operation_id)
    selection = selection_of(operation)
    while keys := _following_keys(selection, operation.last_key):
        for key in keys:
            yield _act(selection, operation, key, stops)


def finish(operation_id: UUID) -> dict[str, object]:
    """Note that every row was looked at, and return the figures."""
    BulkOperation.objects.filter(pk=operation_id, finished_at=None).update(finished_at=clock.now())
    operation = BulkOperation.objects.get(pk=operation_id)
    return {"done": operation.done, "refused": operation.refused}


def _following_keys(selection: Selection, last_key: str) -> list[Any]:
    rows = selection.suited()
    if last_key:
        rows = rows.filter(pk__gt=selection.as_key(last_key))
    return list(rows.order_by("pk").values_list("pk", flat=True)[:_KEYS_AT_ONCE])


def _act(selection: Selection, operation: BulkOperation, key: Any, stops: tuple[type[BaseException], ...]) -> Step:
    user = _operator(operation)
    row = selection.listing.rows().model._default_manager.filter(pk=key).first()  # noqa: SLF001 - Django documents it
    title = str(row)[:_LONGEST_TITLE] if row is not None else str(key)
    ends: tuple[type[BaseException], ...] = (*stops, BulkOvertaken)
    try:
        with transaction.atomic():
            reason = selection.act.perform(row, user) if row is not None else "It is gone."
            _note(operation, key, title, reason)
    except ends:
        raise
    except IsthmusError as refused:
        reason = refused.message
        with transaction.atomic():
            _note(operation, key, title, reason)
    operation.refresh_from_db(fields=["last_key", "done", "refused"])
    return Step(operation.done + operation.refused, str(key), title, reason)


def _operator(operation: BulkOperation) -> User:
    """Return the user who asked, as they are now. Raises `PermissionRefused`."""
    user = User.objects.filter(pk=operation.user_id).first() if operation.user_id is not None else None
    if user is None:
        raise PermissionRefused("Whoever asked for this is gone.")
    policy.require(user, KIND, "operate", ANYWHERE)
    return user


def _note(operation: BulkOperation, key: Any, title: str, reason: str) -> None:
    """Note that a row was looked at, unless another holder of the operation has done so since it was read."""
    counted = "refused" if reason else "done"
    # The place where it was is the fence: of two holders one comes too late, and its row is undone.
    moved = BulkOperation.objects.filter(pk=operation.pk, last_key=operation.last_key).update(
        last_key=str(key), **{counted: F(counted) + 1}
    )
    if not moved:
        raise BulkOvertaken
    if reason:
        BulkRefusal.objects.create(operation=operation, key=str(key), title=title, reason=reason)
