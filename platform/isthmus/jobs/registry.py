"""Which functions may run in the background. Only what is declared runs, whatever a row says."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Protocol

from isthmus.jobs import secret_arguments
from isthmus.jobs.conf import options
from isthmus.jobs.errors import ArgumentsRefused, UnknownFunction
from isthmus.jobs.json_values import NotJson, as_json_value
from isthmus.vault.secret import MASK, Secret

__all__ = ["Declaration", "Declared", "Step", "declare", "declared", "find", "find_or_none", "is_declared"]


class Declared(Protocol):
    """What stands for a declared function: the declaration, or what @queueable returned."""

    @property
    def declaration(self) -> "Declaration":
        """The declaration."""


@dataclass(frozen=True, kw_only=True)
class Declaration:
    """A function and how it wants to be run."""

    name: str
    """Dotted name; stored with every job, so renaming a function orphans what is queued."""
    function: Callable[..., Any]
    kind: str
    max_attempts: int
    retry_delays: tuple[float, ...]
    """Seconds before the second, third … attempt; the last one repeats."""
    atomic: bool
    time_limit_seconds: float
    concurrency: int | None = None
    """How many jobs of the function run at a time; `None`: as many as there are workers."""
    priority: int = 0
    """What its jobs have if nothing else is asked for."""
    ahead: Callable[..., Callable[[], object]] | None = None
    """Called before the function with job, handle and arguments, outside the transaction of an atomic one; what it
    returns is called in place of the function."""
    body: Callable[..., Any] | None = None
    """What tells two declarations of one name apart; `None` is the function."""

    @property
    def declaration(self) -> "Declaration":
        return self

    @property
    def secret_parameters(self) -> frozenset[str]:
        """The parameters that are annotated as a `Secret`."""
        return secret_arguments.secret_parameters(self.function)

    def accept(self, arguments: Mapping[str, object], *, secrets: bool = True) -> dict[str, object]:
        """Return the arguments as JSON keeps them, a mask in the place of each secret.

        `secrets`: whether there is a place for them. Raises `ArgumentsRefused`.
        """
        try:
            inspect.signature(self.function).bind(**arguments)
            found = secret_arguments.secrets_of(arguments, self.secret_parameters)
            masked = {name: MASK if name in found else value for name, value in arguments.items()}
            plain = as_json_value(masked, limit_bytes=options.argument_bytes)
        except (TypeError, NotJson) as error:
            raise ArgumentsRefused(f"{self.name}: {error}") from error
        if found and not secrets:
            raise ArgumentsRefused(f"{self.name}: {min(found)} is secret, and a schedule keeps no secrets.")
        assert isinstance(plain, dict)  # noqa: S101 - for the type checker; a dict stays a dict
        return plain

    def seal(self, arguments: Mapping[str, object]) -> Secret | None:
        """Return the secret ones among the arguments, to be set on the job's row. Raises `ArgumentsRefused`."""
        try:
            return secret_arguments.packed(secret_arguments.secrets_of(arguments, self.secret_parameters))
        except NotJson as error:
            raise ArgumentsRefused(f"{self.name}: {error}") from error

    def delay_after(self, failures: int) -> float:
        """Return the seconds to wait after the `failures`-th error."""
        if not self.retry_delays:
            return 0.0
        return self.retry_delays[min(failures, len(self.retry_delays)) - 1]


@dataclass(frozen=True)
class Step:
    """A function with its arguments, not yet enqueued: a link of a chain, or what ends a job."""

    declaration: Declaration
    arguments: Mapping[str, object]


_declared: dict[str, Declaration] = {}


def declare(declaration: Declaration) -> None:
    """Add a function. Raises `ValueError` if another one has its name."""
    before = _declared.get(declaration.name)
    if before and (before.body or before.function).__code__ != (declaration.body or declaration.function).__code__:
        raise ValueError(f"{declaration.name} is declared twice.")
    _declared[declaration.name] = declaration


def is_declared(name: str) -> bool:
    """Return whether `find` would succeed without importing anything."""
    return name in _declared


def find(name: str) -> Declaration:
    """Return the declaration of a dotted name, importing its module if needed. Raises `UnknownFunction`."""
    if name not in _declared:
        module, _, _function = name.rpartition(".")
        try:
            import_module(module)
        except Exception as error:
            raise UnknownFunction(f"{name} cannot be imported: {type(error).__name__}: {error}") from error
    if name not in _declared:
        raise UnknownFunction(f"{name} is not declared with @queueable.")
    return _declared[name]


def find_or_none(name: str) -> Declaration | None:
    """Return the declaration of a dotted name, or `None` where `find` raises."""
    try:
        return find(name)
    except UnknownFunction:
        return None


def declared() -> list[Declaration]:
    """Return every declared function, by name."""
    return sorted(_declared.values(), key=lambda declaration: declaration.name)
