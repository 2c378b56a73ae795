"""From the types of an endpoint's method to JSON schemas (draft 2020-12, as OpenAPI 3.1 has them)."""

import dataclasses
import typing
from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from typing import Any, Literal
from uuid import UUID

from drf_spectacular.plumbing import ComponentRegistry, ResolvedComponent

from apexrest.parsing import is_optional, without_none

__all__ = ["Schemas"]

Schema = dict[str, Any]

_MOMENT_OUT = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}\+0000$"
_SIMPLE: dict[Any, Schema] = {
    str: {"type": "string"},
    bool: {"type": "boolean"},
    int: {"type": "integer", "format": "int64"},
    float: {"type": "number", "format": "double"},
    Decimal: {"type": ["number", "string"], "format": "decimal", "pattern": r"^[+-]?[0-9]{1,100}(\.[0-9]{1,100})?$"},
    date: {"type": "string", "format": "date"},
    UUID: {"type": "string", "format": "uuid"},
}
_EXAMPLES: dict[Any, Any] = {
    str: "text",
    bool: True,
    int: 1,
    float: 1.5,
    Decimal: 19.99,
    date: "2026-01-31",
    datetime: "2026-01-31T12:00:00Z",
    UUID: "00000000-0000-4000-8000-000000000000",
}


class Schemas:
    """Makes schemas; those of classes become components of the document, each once."""

    def __init__(self, registry: ComponentRegistry, *, is_answer: bool) -> None:
        """`is_answer`: what goes out, which has forms of its own, or what comes in."""
        self._registry = registry
        self._is_answer = is_answer

    def of(self, annotation: Any) -> Schema:
        """Return the schema of an annotation."""
        if typing.get_origin(annotation) is typing.Annotated:
            annotation = typing.get_args(annotation)[0]
        if annotation is datetime:
            return {"type": "string", **({"pattern": _MOMENT_OUT} if self._is_answer else {"format": "date-time"})}
        if annotation in _SIMPLE:
            return dict(_SIMPLE[annotation])
        if annotation is Any or annotation is object:
            return {}
        if isinstance(annotation, type) and issubclass(annotation, Enum):
            return self._component(annotation, lambda: {"enum": [member.value for member in annotation]})
        if isinstance(annotation, type) and dataclasses.is_dataclass(annotation):
            return self._component(annotation, lambda: self._object(annotation))
        return self._generic(annotation)

    def members(self, annotations: typing.Mapping[str, Any], required: list[str]) -> Schema:
        """Return the schema of an object with one key for each annotation and no others."""
        found: Schema = {
            "type": "object",
            "properties": {name: self.of(annotation) for name, annotation in annotations.items()},
            "additionalProperties": False,
        }
        if required:
            found["required"] = sorted(required)
        return found

    def example(self, annotation: Any, depth: int = 0, name: str = "") -> Any:
        """Return a value that the annotation takes; `name`, of the field it is for, helps to find a likely one."""
        annotation = without_none(annotation)
        origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
        if origin is Literal:
            return arguments[0]
        if origin is list:
            return [] if depth > _DEEPEST else [self.example(arguments[0], depth + 1)]
        if origin is dict:
            return {"key": self.example(arguments[1], depth + 1)}
        if isinstance(annotation, type) and issubclass(annotation, Enum):
            return next(iter(annotation)).value
        if isinstance(annotation, type) and dataclasses.is_dataclass(annotation):
            hints = typing.get_type_hints(annotation)
            return {
                field.name: self.example(hints[field.name], depth + 1, field.name)
                for field in dataclasses.fields(annotation)
                if field.init and (depth <= _DEEPEST or _is_required(field))
            }
        if annotation is str and "email" in name.lower():
            return "text@example.org"
        return _EXAMPLES.get(annotation, "anything")

    def _generic(self, annotation: Any) -> Schema:
        origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
        if origin is Literal:
            return {"enum": list(arguments)}
        if is_optional(annotation):
            parts = [self.of(part) for part in arguments if part is not type(None)]
            return {"anyOf": [*parts, {"type": "null"}]}
        if origin in (list, tuple):
            return {"type": "array", "items": self.of(arguments[0]) if arguments else {}}
        if origin is dict:
            return {"type": "object", "additionalProperties": self.of(arguments[1]) or True}
        return {}

    def _object(self, cls: type) -> Schema:
        hints = typing.get_type_hints(cls)
        fields = [field for field in dataclasses.fields(cls) if field.init or self._is_answer]
        # An answer has every field; what comes in may leave out those with a default.
        required = [field.name for field in fields if self._is_answer or _is_required(field)]
        found = self.members({field.name: hints[field.name] for field in fields}, required)
        told = (cls.__doc__ or "").strip()
        if told and not told.startswith(f"{cls.__name__}("):
            found["description"] = told
        return found

    def _component(self, cls: type, make: Callable[[], Schema]) -> Schema:
        name = self._name_of(cls)
        key = (name, ResolvedComponent.SCHEMA)
        if key not in self._registry._components:  # noqa: SLF001 - it has no other question than whether it is there
            component = ResolvedComponent(name=name, type=ResolvedComponent.SCHEMA, object=cls, schema={"type": {}})
            # Before its members are looked at: a class may contain itself.
            self._registry.register(component)
            component.schema = make()
        return {"$ref": f"#/components/schemas/{name}"}

    def _name_of(self, cls: type) -> str:
        name = f"{cls.__name__}{'Answer' if self._is_answer else ''}"
        taken = self._registry._components.get((name, ResolvedComponent.SCHEMA))  # noqa: SLF001 - as above
        if taken is None or taken.object is cls:
            return name
        return f"{cls.__module__.replace('.', '_')}_{cls.__qualname__.replace('.', '_')}_{name}"


_DEEPEST = 4


def _is_required(field: "dataclasses.Field[Any]") -> bool:
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
