"""Typed options: each app declares its own in its `conf.py`, under one prefix.

An option is looked up when it is read: Django's settings first (so that `override_settings` works), then the
environment, then the default. All declared options are validated together by the system checks.

>>> class DemoOptions(Options, prefix="ISTHMUS_DEMO_"):
...     batch_size = option(200, help_text="Records a batch.", minimum=1, maximum=2000)
>>> DemoOptions().batch_size
200
"""

import os
from collections.abc import Callable, Iterator
from typing import Any, ClassVar, Generic, TypeVar, overload

from django.conf import settings
from django.core.signals import setting_changed

__all__ = ["InvalidOption", "Option", "Options", "declared_options", "option"]

T = TypeVar("T", bound=bool | int | float | str)

_settings_changes = 0


def _note_change(**_: object) -> None:
    global _settings_changes
    _settings_changes += 1


# Sent by `override_settings`, the one way in which settings change while a process runs.
setting_changed.connect(_note_change, dispatch_uid="isthmus.conf")

_TRUE = {"1", "true", "yes", "on"}
_FALSE = {"0", "false", "no", "off"}


class InvalidOption(ValueError):
    """An option has a value that it cannot have."""


class Option(Generic[T]):
    """One option: its name comes from the attribute it is assigned to, its type from its default."""

    name: str
    prefix: str
    owner_module: str

    def __init__(
        self,
        default: T,
        *,
        help_text: str,
        minimum: float | None = None,
        maximum: float | None = None,
        validate: Callable[[T], str | None] | None = None,
    ) -> None:
        self.default: T = default
        # What was read last, with the text in the environment and the count of changes that it was read under: options
        # are read many times in every callout.
        self._kept: tuple[str | None, int, T] | None = None
        self.help_text = help_text
        self._minimum = minimum
        self._maximum = maximum
        self._validate: Callable[[T], str | None] | None = validate

    def __set_name__(self, owner: type["Options"], attribute: str) -> None:
        self.name = f"{owner.prefix}{attribute.upper()}"
        self.prefix = owner.prefix
        self.owner_module = owner.__module__

    @overload
    def __get__(self, instance: None, owner: type["Options"]) -> "Option[T]": ...
    @overload
    def __get__(self, instance: "Options", owner: type["Options"]) -> T: ...
    def __get__(self, instance: "Options | None", owner: type["Options"]) -> "Option[T] | T":
        return self if instance is None else self.read()

    def read(self) -> T:
        """Return the value in force. Raises `InvalidOption` with a sentence that says what is wrong."""
        given = os.environ.get(self.name)
        kept = self._kept
        if kept is not None and kept[0] == given and kept[1] == _settings_changes:
            return kept[2]
        if hasattr(settings, self.name):
            value = self._checked(getattr(settings, self.name))
        else:
            value = self.default if given is None else self._checked(self._parsed(given))
        self._kept = (given, _settings_changes, value)
        return value

    def _parsed(self, text: str) -> object:
        kind = type(self.default)
        if kind is bool:
            if text.lower() in _TRUE | _FALSE:
                return text.lower() in _TRUE
            raise InvalidOption(f"{self.name} is {text!r}; it takes true or false.")
        try:
            return kind(text)
        except ValueError as error:
            raise InvalidOption(f"{self.name} is {text!r}; it takes a value of type {kind.__name__}.") from error

    def _checked(self, value: Any) -> T:
        kind = type(self.default)
        if kind is float and type(value) is int:
            value = float(value)
        if type(value) is not kind:
            raise InvalidOption(f"{self.name} is {value!r}; it takes a value of type {kind.__name__}.")
        if isinstance(value, int | float):
            if self._minimum is not None and value < self._minimum:
                raise InvalidOption(f"{self.name} is {value}; it must be at least {self._minimum:g}.")
            if self._maximum is not None and value > self._maximum:
                raise InvalidOption(f"{self.name} is {value}; it must be at most {self._maximum:g}.")
        wrong = self._validate(value) if self._validate else None
        if wrong:
            raise InvalidOption(f"{self.name}: {wrong}")
        return value


def option(
    default: T,
    *,
    help_text: str,
    minimum: float | None = None,
    maximum: float | None = None,
    validate: Callable[[T], str | None] | None = None,
) -> Option[T]:
    """Declare an option. `validate` returns a sentence saying what is wrong, or `None`."""
    return Option(default, help_text=help_text, minimum=minimum, maximum=maximum, validate=validate)


class Options:
    """Base of an app's options. Instances hold nothing; reading an attribute looks the value up."""

    prefix: ClassVar[str] = ""

    def __init_subclass__(cls, *, prefix: str, **kwargs: Any) -> None:
        if not prefix.endswith("_"):
            raise TypeError("An option prefix ends with an underscore.")
        cls.prefix = prefix
        for attribute, value in vars(cls).items():
            if isinstance(value, Option):
                value.__set_name__(cls, attribute)
        super().__init_subclass__(**kwargs)
        _declared.append(cls)


_declared: list[type[Options]] = []


def declared_options() -> Iterator[Option[Any]]:
    """Yield every option that an app has declared."""
    for owner in _declared:
        for value in vars(owner).values():
            if isinstance(value, Option):
                yield value
