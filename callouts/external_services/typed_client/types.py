"""From schemas to types: which classes a module needs, and what an annotation says."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from callouts.external_services.description.definitions import MediaDefinition
from callouts.external_services.description.schemas import discriminated
from callouts.external_services.document import pointers, references
from callouts.external_services.document.references import BrokenReference, Pieces
from callouts.external_services.typed_client.source import LINE, class_name, literal, shortened, variable_name

__all__ = ["Field", "Model", "Types"]

_SCALARS = {"string": "str", "integer": "int", "number": "float", "boolean": "bool", "null": "None"}
_FORMATS = {"date": "date", "date-time": "datetime", "uuid": "UUID", "binary": "bytes | Upload"}
_MOST_LITERALS = 200
_WIDEST = 120
_DEEPEST = 40
_ANY = "Any"


@dataclass(frozen=True)
class Field:
    """A field of a class."""

    name: str
    json_name: str
    annotation: str
    is_required: bool
    is_unset: bool
    """Whether its default is `UNSET`, because `None` means something."""
    description: str = ""


@dataclass
class Model:
    """A class."""

    name: str
    description: str
    fields: list[Field] = field(default_factory=list)
    further: str = ""
    """The type of further properties, "" where none are gathered."""


class Types:
    """The types of one module. A schema gets one class, however often it is used."""

    def __init__(self, pieces: Pieces, taken: set[str]) -> None:
        self._pieces = pieces
        self._taken = taken
        self._names: dict[str, str] = {}
        self._open: set[str] = set()
        self._alias_names: dict[str, str] = {}
        self._forms: dict[str, str] = {}
        self.models: dict[str, Model] = {}
        self.aliases: dict[str, list[str]] = {}
        """Names of annotations that are too long for a line, and what they stand for, one item a line."""

    def annotation(self, pointer: str | None, wanted: str) -> str:
        """Return the type of the schema at a pointer; `wanted` names the class, if it needs one and has no name."""
        if pointer is None:
            return _ANY
        return self._of({"$ref": f"#{pointer}"}, f"{pointer}#", wanted, 0)

    def of_form(self, media: MediaDefinition, wanted: str) -> str:
        """Return the class of a form that is a list of fields."""
        if wanted in self._forms:
            return self._forms[wanted]
        model = Model(self.allocated(wanted), "Fields of a form.")
        self._forms[wanted] = model.name
        self.models[model.name] = model
        taken: set[str] = set()
        for one in media.fields:
            annotation = (
                "bytes | Upload" if one.is_file else self.annotation(one.schema, f"{wanted}{class_name(one.name)}")
            )
            model.fields.append(
                Field(variable_name(one.name, taken), one.name, annotation, one.required, False, one.description)
            )
        return model.name

    def fitting(self, annotation: str, used: int, wanted: str) -> str:
        """Return an annotation, or the name of an alias for one that is too long for what is left of a line."""
        if used + len(annotation) <= LINE or not set("|[") & set(annotation):
            return annotation
        name = self._alias_names.get(annotation)
        if name is None:
            name = self._alias_names[annotation] = self.allocated(wanted)
            self.aliases[name] = _split(annotation, len(f"{name}: TypeAlias = "))
        return name

    def allocated(self, wanted: str) -> str:
        """Return a name that nothing else in the module has."""
        wanted = shortened(wanted)
        name, number = wanted, 1
        while name in self._taken:
            number += 1
            name = f"{wanted}{number}"
        self._taken.add(name)
        return name

    def _of(self, schema: Any, at: str, wanted: str, depth: int) -> str:
        try:
            found, target = references.resolve(self._pieces, schema, at)
        except BrokenReference:
            return _ANY
        if not isinstance(found, dict) or depth > _DEEPEST:
            return _ANY
        if target in self._names:
            return self._names[target]
        if target in self._open:
            return _ANY  # a circle in which no object stands
        if references.reference_of(schema) is not None or "$ref" in found:
            wanted = _own_name(target) or wanted
        self._open.add(target)
        try:
            annotation = self._shape(found, target, wanted, depth)
        finally:
            self._open.discard(target)
        is_nullable = found.get("nullable") is True or found.get("x-nullable") is True
        return _or(annotation, "None") if is_nullable else annotation

    def _shape(self, schema: Mapping[str, Any], at: str, wanted: str, depth: int) -> str:
        values = schema.get("enum", [schema["const"]] if "const" in schema else None)
        if isinstance(values, list) and (written := _literals(values)):
            return written
        merged = self._merged(schema, at, 0)
        if merged is not None:
            return self._model(schema, merged, at, wanted, depth)
        for keyword in ("oneOf", "anyOf"):
            if isinstance(schema.get(keyword), list) and schema[keyword]:
                return self._union(schema, keyword, at, wanted, depth)
        parts = schema.get("allOf")
        if isinstance(parts, list) and len(parts) == 1:
            return self._of(parts[0], f"{at}/allOf/0", wanted, depth + 1)
        return self._plain(schema, at, wanted, depth)

    def _plain(self, schema: Mapping[str, Any], at: str, wanted: str, depth: int) -> str:
        kinds = schema.get("type")
        kinds = [kinds] if isinstance(kinds, str) else kinds if isinstance(kinds, list) else []
        if not kinds and "items" in schema:
            kinds = ["array"]
        found = [self._of_kind(kind, schema, at, wanted, depth) for kind in kinds]
        return _or(*found) if found else _ANY

    def _of_kind(self, kind: Any, schema: Mapping[str, Any], at: str, wanted: str, depth: int) -> str:
        if kind == "array":
            items = schema.get("items")
            inner = self._of(items, f"{at}/items", f"{wanted}Item", depth + 1) if items is not None else _ANY
            return f"list[{inner}]"
        if kind == "object":
            further = schema.get("additionalProperties")
            given = isinstance(further, dict) and further
            inner = self._of(further, f"{at}/additionalProperties", f"{wanted}Value", depth + 1) if given else _ANY
            return f"dict[str, {inner}]"
        if kind == "string" and isinstance(schema.get("format"), str):
            return _FORMATS.get(schema["format"], "str")
        return _SCALARS.get(kind, _ANY) if isinstance(kind, str) else _ANY

    def _union(self, schema: Mapping[str, Any], keyword: str, at: str, wanted: str, depth: int) -> str:
        chosen = discriminated(self._pieces, schema, at)
        if chosen is not None:
            targets = dict.fromkeys(chosen[1].values())
            return _or(*(self._of({"$ref": f"#{one}"}, f"{one}#", wanted, depth + 1) for one in targets))
        found = [
            self._of(part, f"{at}/{keyword}/{number}", f"{wanted}{_title(part) or number + 1}", depth + 1)
            for number, part in enumerate(schema[keyword])
        ]
        return _ANY if _ANY in found else _or(*found)

    def _merged(self, schema: Mapping[str, Any], at: str, depth: int) -> dict[str, tuple[Any, str]] | None:
        """Return the properties of an object and where they stand, those of its parts included.

        `None` for what is no object with properties.
        """
        result: dict[str, tuple[Any, str]] = {}
        parts = schema.get("allOf")
        is_object = isinstance(schema.get("properties"), dict) and bool(schema["properties"])
        for number, part in enumerate(parts if isinstance(parts, list) and depth < 10 else ()):
            try:
                found, target = references.resolve(self._pieces, part, f"{at}/allOf/{number}")
            except BrokenReference:
                continue
            inner = self._merged(found, target, depth + 1) if isinstance(found, dict) else None
            if inner is not None:
                is_object = True
                result.update(inner)
        own = schema.get("properties")
        for name, given in own.items() if isinstance(own, dict) else ():
            result[name] = (given, pointers.join("properties", name, base=at))
        return result if is_object else None

    def _required(self, schema: Any, at: str, depth: int) -> set[str]:
        if not isinstance(schema, dict) or depth > 10:
            return set()
        given = schema.get("required")
        found = {name for name in given if isinstance(name, str)} if isinstance(given, list) else set()
        parts = schema.get("allOf")
        for number, part in enumerate(parts if isinstance(parts, list) else ()):
            try:
                inner, target = references.resolve(self._pieces, part, f"{at}/allOf/{number}")
            except BrokenReference:
                continue
            found |= self._required(inner, target, depth + 1)
        return found

    def _model(
        self, schema: Mapping[str, Any], properties: dict[str, tuple[Any, str]], at: str, wanted: str, depth: int
    ) -> str:
        model = Model(self.allocated(wanted), _text(schema.get("description")) or _text(schema.get("title")))
        # Before the fields, which may come back to this schema.
        self._names[at] = model.name
        self.models[model.name] = model
        required = self._required(schema, at, 0)
        taken = {"further"}
        for name, (given, given_at) in properties.items():
            annotation = self._of(given, given_at, f"{model.name}{class_name(name)}", depth + 1)
            is_given = isinstance(given, dict) and (given.get("readOnly") is True or given.get("writeOnly") is True)
            is_required = name in required and not is_given
            model.fields.append(
                Field(
                    name=variable_name(name, taken),
                    json_name=name,
                    annotation=annotation,
                    is_required=is_required,
                    is_unset=not is_required and "None" in annotation.split(" | "),
                    description=_text(given.get("description")) if isinstance(given, dict) else "",
                )
            )
        further = schema.get("additionalProperties")
        if isinstance(further, dict) and further:
            model.further = self._of(further, f"{at}/additionalProperties", f"{model.name}Value", depth + 1)
        elif further is True:
            model.further = _ANY
        return model.name


def _own_name(pointer: str) -> str:
    parts = pointers.parse(pointer)
    return class_name(parts[-1]) if len(parts) >= 2 and parts[-2] in {"schemas", "definitions"} else ""


def _title(schema: Any) -> str:
    title = schema.get("title") if isinstance(schema, dict) else None
    return class_name(title) if isinstance(title, str) and title else ""


def _text(value: Any) -> str:
    return value[:300] if isinstance(value, str) else ""


def _literals(values: list[Any]) -> str:
    """Return the listed values as a type; "" where they are too many, or of types that literals do not have."""
    if not values or len(values) > _MOST_LITERALS:
        return ""
    written = []
    for value in values:
        if isinstance(value, str):
            written.append(literal(value))
        elif isinstance(value, bool | int):
            written.append(str(value))
        elif value is not None:
            return ""
    # `1` and `True` are the same key, but not the same literal.
    unique = list({json.dumps(one): one for one in written}.values())
    found = f"Literal[{', '.join(unique)}]" if unique else ""
    return _or(found, "None") if None in values and found else found or "None"


def _or(*annotations: str) -> str:
    found: dict[str, None] = {}
    for annotation in annotations:
        found.update(dict.fromkeys(_top_level(annotation, " | ")))
    if _ANY in found:
        return _ANY
    without = [one for one in found if one != "None"]
    return " | ".join([*without, "None"] if "None" in found else without)


def _split(annotation: str, used: int) -> list[str]:
    """Return an annotation as lines of an alias, with a comma at each end, which keeps formatters from joining them."""
    parts = _top_level(annotation, " | ")
    if len(parts) > 1:
        inner = [line for part in parts for line in _item(part)]
        return ["Union[", *(f"    {line}" for line in inner), "]"]
    return _bracketed(annotation, used)


def _item(part: str) -> list[str]:
    """Return one item of a list of types, with its comma."""
    if len(part) + 10 <= LINE or "[" not in part:
        return [f"{part},"]
    *first, last = _bracketed(part, 10)
    return [*first, f"{last},"]


def _bracketed(annotation: str, used: int) -> list[str]:
    head, _, rest = annotation.partition("[")
    inner = _top_level(rest[:-1], ", ")
    if len(inner) == 1:
        # A comma would make one item a tuple, so it is broken only where it has to be.
        if used + len(annotation) <= _WIDEST:
            return [annotation]
        lines = _split(inner[0], 4) if set("|[") & set(inner[0]) else [inner[0]]
        return [f"{head}[", *(f"    {line}" for line in lines), "]"]
    return [f"{head}[", *(f"    {line}" for part in inner for line in _item(part)), "]"]


def _top_level(text: str, separator: str) -> list[str]:
    """Split where neither a bracket nor a literal is open."""
    parts, depth, quote, start, at = [], 0, "", 0, 0
    while at < len(text):
        character = text[at]
        if quote:
            at += character == "\\"
            quote = "" if character == quote else quote
        elif character in {'"', "'"}:
            quote = character
        elif character in "[(":
            depth += 1
        elif character in "])":
            depth -= 1
        elif not depth and text.startswith(separator, at):
            parts.append(text[start:at])
            at += len(separator)
            start = at
            continue
        at += 1
    return [*parts, text[start:]]
