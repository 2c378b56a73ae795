"""What generated clients stand on: dataclasses to JSON and back, and answers typed by their status.

`manage.py external_service client NAME` writes modules that import from here, and nothing else of ours.
"""

import dataclasses
import types
import typing
import uuid
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import Any, Generic, Literal, Required, TypedDict, TypeVar, Union, get_args, get_origin, overload

import msgspec
from django.contrib.auth.models import AbstractUser
from django.db.models import Model

from callouts.callbacks.handlers import Callback, CallbackHandler
from callouts.external_services.client import ExternalServiceClient, external_service
from callouts.external_services.writing.answers import OperationResponse
from callouts.external_services.writing.multipart import Upload
from callouts.retrying import RetryPolicy

__all__ = [
    "UNSET",
    "Answered",
    "CallOptions",
    "GeneratedClient",
    "SubmitOptions",
    "TypedResponse",
    "UnsetType",
    "Upload",
    "answer",
    "as_json",
    "body_of",
    "from_json",
    "named",
]

T = TypeVar("T")

UNSET = msgspec.UNSET
UnsetType = msgspec.UnsetType

_NAME = "json"
_FURTHER = "further"


class CallOptions(TypedDict, total=False):
    """What every method takes besides the operation's own arguments; see `ExternalServiceClient.call`."""

    content_type: str | None
    reference: str | None
    retry: RetryPolicy | Literal["document"] | None
    user: AbstractUser | None
    timeout: float | None
    record: str | Model | None


class SubmitOptions(TypedDict, total=False):
    """The same for an operation whose answer comes back later."""

    callback: Required[type[CallbackHandler] | Literal[False]]
    callback_timeout: timedelta | None
    content_type: str | None
    reference: str | None
    user: AbstractUser | None
    timeout: float | None
    record: str | Model | None


def named(name: str, *, default: Any = dataclasses.MISSING, default_factory: Any = dataclasses.MISSING) -> Any:
    """Return a dataclass field that has another name in JSON; the name `*` gathers further properties."""
    metadata = {_FURTHER: True} if name == "*" else {_NAME: name}
    if default_factory is not dataclasses.MISSING:
        return dataclasses.field(default_factory=default_factory, metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


class GeneratedClient:
    """Base of generated clients."""

    service: typing.ClassVar[str]
    """The external service's name."""
    digest: typing.ClassVar[str]
    """Of the document that the client was made from."""

    def __init__(self, *, version: int | None = None) -> None:
        """`version`: of the document that calls are checked against; `None` is the active one, at each call."""
        self.untyped: ExternalServiceClient = external_service(self.service, version=version)

    def _call(self, operation: str, options: Mapping[str, Any], *, body: Any = None, **parameters: Any) -> Any:
        given = {name: as_json(value) for name, value in parameters.items() if value is not None and value is not UNSET}
        sent = None if body is UNSET else as_json(body)
        return self.untyped.call(operation, body=sent, parameters=given, **options)


class TypedResponse:
    """An answer, typed by its status: `response.code201` is the body of a 201, and `None` otherwise."""

    def __init__(self, answer: OperationResponse) -> None:
        self.answer = answer
        """The untyped answer: status, headers, body, invocation id."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.answer!r})"


class Answered(Generic[T]):
    """The body of an answer with a status."""

    def __init__(self, status: str) -> None:
        self._status = status
        self._name = ""

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    @overload
    def __get__(self, instance: None, owner: type) -> "Answered[T]": ...
    @overload
    def __get__(self, instance: TypedResponse, owner: type) -> T: ...
    def __get__(self, instance: TypedResponse | None, owner: type) -> Any:
        if instance is None:
            return self
        is_about = getattr(instance.answer, f"code{self._status}", None)
        if is_about is None:
            return None
        [wanted] = get_args(_hints(owner)[self._name])
        return from_json(wanted, instance.answer.body)


def answer(status: str) -> Any:
    """Return the attribute that reads the body of an answer with a status, such as `201`, `2XX` or `_default`."""
    return Answered(status)


def body_of(callback: Callback, wanted: type[T]) -> T:
    """Return what a callback brought, as a value of a generated class."""
    return typing.cast("T", from_json(wanted, callback.response.body if callback.response else None))


def as_json(value: Any) -> Any:
    """Return a value with its dataclasses as JSON objects; what is unset, or optional and `None`, is left out."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type | Upload):
        result: dict[str, Any] = {}
        for field in dataclasses.fields(value):
            inner = getattr(value, field.name)
            if inner is UNSET or (inner is None and field.default is None):
                continue
            if field.metadata.get(_FURTHER):
                result.update({key: as_json(item) for key, item in inner.items()})
            else:
                result[field.metadata.get(_NAME, field.name)] = as_json(inner)
        return result
    if isinstance(value, Mapping):
        return {key: as_json(item) for key, item in value.items()}
    return [as_json(item) for item in value] if isinstance(value, list | tuple) else value


def from_json(wanted: Any, value: Any) -> Any:
    """Return a JSON value as the type `wanted`; what does not fit stays as it is: answers are not ours to refuse."""
    if dataclasses.is_dataclass(wanted) and isinstance(wanted, type) and isinstance(value, Mapping):
        return _object(wanted, value)
    origin = get_origin(wanted)
    if origin in {Union, types.UnionType}:
        return _of_several(get_args(wanted), value)
    if origin is list and isinstance(value, list):
        [inner] = get_args(wanted)
        return [from_json(inner, item) for item in value]
    if origin is dict and isinstance(value, Mapping):
        _, inner = get_args(wanted)
        return {key: from_json(inner, item) for key, item in value.items()}
    return _scalar(wanted, value)


def _scalar(wanted: Any, value: Any) -> Any:
    if not isinstance(value, str):
        return float(value) if wanted is float and isinstance(value, int) and not isinstance(value, bool) else value
    try:
        if wanted is datetime:
            return datetime.fromisoformat(value)
        if wanted is date:
            return date.fromisoformat(value)
        if wanted is uuid.UUID:
            return uuid.UUID(value)
    except ValueError:
        return value
    return value


def _of_several(choices: tuple[Any, ...], value: Any) -> Any:
    if value is None:
        return None
    fitting = next((choice for choice in choices if _fits(choice, value)), None)
    return value if fitting is None else from_json(fitting, value)


def _fits(choice: Any, value: Any) -> bool:
    """Return whether a value has the shape of a type; of several classes the first whose fields are all there."""
    origin = get_origin(choice)
    if origin is Literal:
        return value in get_args(choice)
    if dataclasses.is_dataclass(choice):
        return isinstance(value, Mapping) and _has_what_it_needs(choice, value)
    if origin in {list, dict}:
        return isinstance(value, list if origin is list else Mapping)
    if choice in {datetime, date, uuid.UUID}:
        return isinstance(value, str) and not isinstance(_scalar(choice, value), str)
    if choice is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    return isinstance(choice, type) and isinstance(value, choice) and not (choice is int and isinstance(value, bool))


def _has_what_it_needs(choice: Any, value: Mapping[str, Any]) -> bool:
    hints = _hints(choice)
    for field in dataclasses.fields(choice):
        name = field.metadata.get(_NAME, field.name)
        is_required = field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
        if is_required and name not in value:
            return False
        if name in value and get_origin(hints[field.name]) is Literal and not _fits(hints[field.name], value[name]):
            return False
    return True


def _object(wanted: Any, value: Mapping[str, Any]) -> Any:
    hints = _hints(wanted)
    given: dict[str, Any] = {}
    left = dict(value)
    further = None
    for field in dataclasses.fields(wanted):
        if field.metadata.get(_FURTHER):
            further = field.name
            continue
        name = field.metadata.get(_NAME, field.name)
        if name in left:
            given[field.name] = from_json(hints[field.name], left.pop(name))
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            # Required, and the service left it out: there is no better value than none.
            given[field.name] = None
    if further is not None:
        _, inner = get_args(hints[further]) or (str, Any)
        given[further] = {key: from_json(inner, item) for key, item in left.items()}
    return wanted(**given)


@lru_cache(maxsize=4096)
def _hints(owner: Any) -> dict[str, Any]:
    return typing.get_type_hints(owner)
