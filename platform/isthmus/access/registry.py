"""What can be granted: each app registers the kinds of things it guards.

>>> from isthmus.access.registry import GrantKind, register_grant_kind_temporarily
>>> lamps = GrantKind(name="lamp", label="Lamps", actions=("light",), targets=lambda: ["Hall", "Cellar"])
>>> with register_grant_kind_temporarily(lamps):
...     grant_kind("lamp").actions
('light',)
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol

from isthmus.access.errors import UnknownGrantAction, UnknownGrantKind

__all__ = [
    "ALL_TARGETS",
    "GrantKey",
    "GrantKind",
    "ModelPermissionTranslator",
    "all_grant_kinds",
    "grant_kind",
    "model_permission_translators",
    "register_grant_kind",
    "register_grant_kind_temporarily",
    "register_model_permission_translator",
]

ALL_TARGETS = "*"
"""As a grant's target: everything of its kind. `Owner.*` is everything that belongs to `Owner`."""

GrantKey = tuple[str, str, str]
"""Kind, action, target."""


@dataclass(frozen=True, kw_only=True)
class GrantKind:
    """A kind of thing that permission sets give access to."""

    name: str
    label: str
    actions: tuple[str, ...]
    targets: Callable[[], Iterable[str]]
    """Returns the names of the things that exist now; asked when something is granted and to fill forms."""
    implied: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Action → the actions that whoever has it has too: who may edit may read."""

    def actions_that_give(self, action: str) -> tuple[str, ...]:
        """Return `action` and the actions that imply it. Raises `UnknownGrantAction`."""
        if action not in self.actions:
            known = ", ".join(self.actions)
            raise UnknownGrantAction(f"{self.label} have no action {action!r}; they have: {known}.")
        return (action, *(stronger for stronger, weaker in self.implied.items() if action in weaker))


class ModelPermissionTranslator(Protocol):
    """Tells which grant stands for one of Django's model permissions."""

    def grant_for(self, permission: str) -> GrantKey | None:
        """Return the grant that `app_label.codename` stands for; `None` when it is none of ours."""

    def grants_in(self, app_label: str) -> Iterable[GrantKey]:
        """Return the grants any of which makes the app worth showing."""


_kinds: dict[str, GrantKind] = {}
_translators: list[ModelPermissionTranslator] = []


def register_grant_kind(kind: GrantKind) -> None:
    """Add a kind. Raises `ValueError` when another one has its name."""
    if kind.name in _kinds:
        raise ValueError(f"A kind of grant named {kind.name!r} is registered already.")
    _kinds[kind.name] = kind


@contextmanager
def register_grant_kind_temporarily(kind: GrantKind) -> Iterator[None]:
    """Add a kind while the block runs (for tests)."""
    register_grant_kind(kind)
    try:
        yield
    finally:
        del _kinds[kind.name]


def grant_kind(name: str) -> GrantKind:
    """Return the kind of that name. Raises `UnknownGrantKind`."""
    try:
        return _kinds[name]
    except KeyError:
        known = ", ".join(sorted(_kinds)) or "none"
        raise UnknownGrantKind(f"There is no kind of grant {name!r}; there are: {known}.") from None


def all_grant_kinds() -> list[GrantKind]:
    """Return every kind, by label."""
    return sorted(_kinds.values(), key=lambda kind: kind.label)


def register_model_permission_translator(translator: ModelPermissionTranslator) -> None:
    """Let Django's model permissions be answered from grants."""
    _translators.append(translator)


def model_permission_translators() -> tuple[ModelPermissionTranslator, ...]:
    """Return the translators in the order they were registered."""
    return tuple(_translators)
