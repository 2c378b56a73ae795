"""The validators made of a document's schemas.

A schema is named by its JSON pointer and is turned into JSON Schema 2020-12 when it is first needed, with whatever it
reaches; what it reaches twice is held once, so circles end. Only what constrains a value is taken over: the own words
of OpenAPI 2.0 and 3.0 (`nullable`, a boolean `exclusiveMinimum`) are translated, a `discriminator` chooses, a keyword
with a value that it cannot have is left out, and where a reference is broken any value is taken: the service judges in
the end.
"""

import base64
import binascii
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import jsonschema_rs

from callouts.external_services.document import pointers, references
from callouts.external_services.document.reading import Dialect
from callouts.external_services.document.references import BrokenReference, Pieces
from callouts.external_services.errors import ArgumentProblem

__all__ = ["Direction", "SchemaValidator", "compile_schema", "discriminated", "is_given_by_them"]

Direction = Literal["request", "response"]
"""Which way a value goes: `readOnly` properties are not required in requests, `writeOnly` ones not in responses."""

_ONE = ("not", "if", "then", "else", "contains", "propertyNames", "additionalProperties", "items")
_ONE_3_1 = ("unevaluatedItems", "unevaluatedProperties")
_MANY = ("allOf", "anyOf", "oneOf", "prefixItems")
_NAMED = ("properties", "patternProperties", "dependentSchemas")
_COUNTS = frozenset(
    {"maxLength", "minLength", "maxItems", "minItems", "maxProperties", "minProperties", "maxContains", "minContains"}
)
_NUMBERS = frozenset({"maximum", "minimum", "exclusiveMaximum", "exclusiveMinimum", "multipleOf"})
_TYPES = frozenset({"string", "number", "integer", "boolean", "array", "object", "null"})
_FORMATS = frozenset({"date", "date-time", "uuid", "ipv4", "ipv6", "byte"})
"""Formats that a value must have. Others say what a value means to the service, which alone can judge it."""
_RANGES = {"int32": (-(2**31), 2**31 - 1), "int64": (-(2**63), 2**63 - 1)}
_DEEPEST = 200
_BACKTRACK_LIMIT = 100_000
_MOST_PROBLEMS = 50
_HIDDEN = "the value"


def _children(schema: dict[str, Any], at: str) -> Iterator[tuple[str, Any]]:
    for keyword in (*_ONE, *_ONE_3_1):
        if isinstance(schema.get(keyword), dict | bool):
            yield pointers.join(keyword, base=at), schema[keyword]
    for keyword in _MANY:
        if isinstance(schema.get(keyword), list):
            yield from ((pointers.join(keyword, n, base=at), child) for n, child in enumerate(schema[keyword]))
    for keyword in _NAMED:
        if isinstance(schema.get(keyword), dict):
            yield from ((pointers.join(keyword, name, base=at), child) for name, child in schema[keyword].items())


@dataclass(frozen=True)
class SchemaValidator:
    """Says what is wrong with a value. Messages name no values: those may be secret."""

    _compiled: jsonschema_rs.Draft202012Validator

    def problems(self, value: Any, *, base: str = "") -> list[ArgumentProblem]:
        """Return what is wrong with `value`, with pointers that start with `base`; at most 50 problems."""
        found = []
        for error in self._compiled.iter_errors(value):
            found.append(ArgumentProblem(pointers.join(*error.instance_path, base=base) or "/", error.message))
            if len(found) == _MOST_PROBLEMS:
                break
        return found


def compile_schema(
    pieces: Pieces, pointer: str, *, dialect: Dialect, direction: Direction = "request"
) -> SchemaValidator:
    """Return the validator for the schema at `pointer`. Raises `BrokenReference` where there is none."""
    bundle = _Translation(pieces, dialect=dialect, direction=direction).bundle(pointer)
    try:
        return SchemaValidator(_compiled(bundle))
    except ValueError:
        _leave_out_unreadable_patterns(bundle)
    try:
        return SchemaValidator(_compiled(bundle))
    except ValueError as error:
        raise BrokenReference(pointer, f"the schema cannot be used: {error}") from error


def _compiled(schema: Any) -> jsonschema_rs.Draft202012Validator:
    return jsonschema_rs.Draft202012Validator(
        schema,
        validate_formats=True,
        formats={"byte": _is_base64},
        mask=_HIDDEN,
        pattern_options=jsonschema_rs.FancyRegexOptions(backtrack_limit=_BACKTRACK_LIMIT),
        offline=True,
    )


def _is_base64(text: str) -> bool:
    try:
        base64.b64decode("".join(text.split()).replace("-", "+").replace("_", "/"), validate=True)
    except (binascii.Error, ValueError):
        return False
    return True


def _leave_out_unreadable_patterns(schema: Any) -> None:
    """Drop the regular expressions that only some other language's engine reads."""
    waiting = [schema]
    while waiting:
        found = waiting.pop()
        if isinstance(found, list):
            waiting.extend(found)
        elif isinstance(found, dict):
            if isinstance(found.get("pattern"), str) and not _is_readable(found["pattern"]):
                del found["pattern"]
            named = found.get("patternProperties")
            if isinstance(named, dict):
                for pattern in [pattern for pattern in named if not _is_readable(pattern)]:
                    del named[pattern]
            waiting.extend(found.values())


def _is_readable(pattern: str) -> bool:
    try:
        _compiled({"pattern": pattern})
    except ValueError:
        return False
    return True


class _Translation:
    """Turns one schema and what it reaches into one JSON Schema."""

    def __init__(self, pieces: Pieces, *, dialect: Dialect, direction: Direction) -> None:
        self._pieces = pieces
        self._is_3_1 = dialect == "3.1"
        self._absent = "readOnly" if direction == "request" else "writeOnly"
        self._keys: dict[str, str] = {}
        self._waiting: list[str] = []

    def bundle(self, pointer: str) -> dict[str, Any]:
        schema: dict[str, Any] = {"$ref": self._key(pointer), "$defs": {}}
        while self._waiting:
            node = self._waiting.pop()
            try:
                found = self._pieces.at(node)
            except pointers.PointsNowhere as error:
                if node == pointer:
                    raise BrokenReference(pointer, "there is no schema here") from error
                found = True
            schema["$defs"][self._keys[node].removeprefix("#/$defs/")] = self._translate(found, node, 0)
        return schema

    def _key(self, pointer: str) -> str:
        if pointer not in self._keys:
            self._keys[pointer] = f"#/$defs/{len(self._keys)}"
            self._waiting.append(pointer)
        return self._keys[pointer]

    def _translate(self, schema: Any, at: str, depth: int) -> Any:
        if not isinstance(schema, dict) or depth > _DEEPEST:
            return schema if isinstance(schema, bool) else True
        reference = self._reference(schema, at)
        if reference is not None and not self._is_3_1:
            return reference
        translated = self._assertions(schema)
        if isinstance(reference, dict):
            translated.update(reference)
        for pointer, child in _children(schema, at):
            *_, keyword, name = ["", *pointers.parse(pointer.removeprefix(at))]
            self._put(translated, keyword, name, self._translate(child, pointer, depth + 1))
        self._require(schema, translated)
        self._discriminate(schema, translated, at)
        nullable = schema.get("nullable") is True or schema.get("x-nullable") is True
        return self._nullable(translated) if nullable and not self._is_3_1 else translated

    def _reference(self, schema: dict[str, Any], at: str) -> Any:
        """Return the translation of a schema's reference: `True` for a broken one, `None` where there is none."""
        reference = references.reference_of(schema)
        if reference is None and isinstance(schema.get("$dynamicRef"), str):
            reference = schema["$dynamicRef"]
        if reference is None:
            return None
        try:
            return {"$ref": self._key(references.target_of(reference, at=at, pieces=self._pieces))}
        except BrokenReference:
            return True

    @staticmethod
    def _put(translated: dict[str, Any], keyword: str, name: str, child: Any) -> None:
        if not keyword:
            translated[name] = child
        elif keyword in _MANY:
            translated.setdefault(keyword, []).append(child)
        else:
            translated.setdefault(keyword, {})[name] = child

    def _assertions(self, schema: dict[str, Any]) -> dict[str, Any]:
        taken = {keyword: schema[keyword] for keyword in _NUMBERS & schema.keys() if _is_number(schema[keyword])}
        taken.update({keyword: schema[keyword] for keyword in _COUNTS & schema.keys() if _is_count(schema[keyword])})
        if taken.get("multipleOf", 1) <= 0:
            del taken["multipleOf"]
        for limit, exclusive in (("maximum", "exclusiveMaximum"), ("minimum", "exclusiveMinimum")):
            if schema.get(exclusive) is True and limit in taken:
                taken[exclusive] = taken.pop(limit)
        types = schema.get("type")
        types = [types] if isinstance(types, str) else types
        if isinstance(types, list) and types and all(isinstance(name, str) and name in _TYPES for name in types):
            taken["type"] = sorted(set(types))
        if isinstance(schema.get("enum"), list) and schema["enum"]:
            taken["enum"] = schema["enum"]
        if isinstance(schema.get("pattern"), str):
            taken["pattern"] = schema["pattern"]
        if schema.get("uniqueItems") is True:
            taken["uniqueItems"] = True
        if self._is_3_1 and "const" in schema:
            taken["const"] = schema["const"]
        self._formats(schema, taken)
        return taken

    @staticmethod
    def _formats(schema: dict[str, Any], taken: dict[str, Any]) -> None:
        named = schema.get("format")
        if not isinstance(named, str):
            return
        if named in _FORMATS and "string" in taken.get("type", ["string"]):
            taken["format"] = named
        if named in _RANGES and "integer" in taken.get("type", []):
            least, most = _RANGES[named]
            if "minimum" not in taken and "exclusiveMinimum" not in taken:
                taken["minimum"] = least
            if "maximum" not in taken and "exclusiveMaximum" not in taken:
                taken["maximum"] = most

    def _require(self, schema: dict[str, Any], translated: dict[str, Any]) -> None:
        required = schema.get("required")
        if isinstance(required, list):
            properties = schema.get("properties")
            named = properties if isinstance(properties, dict) else {}
            kept = [name for name in required if isinstance(name, str) and not self._is_absent(named.get(name))]
            translated["required"] = sorted(set(kept))

    def _is_absent(self, schema: Any) -> bool:
        return is_given_by_them(self._pieces, schema, self._absent)

    def _discriminate(self, schema: dict[str, Any], translated: dict[str, Any], at: str) -> None:
        """Let the discriminator choose among alternatives, so that a message is about the one that was meant."""
        choices = discriminated(self._pieces, schema, at)
        if not choices:
            return
        name, mapping, is_complete = choices
        chosen = [
            {"if": {"properties": {name: {"const": value}}, "required": [name]}, "then": {"$ref": self._key(target)}}
            for value, target in mapping.items()
        ]
        known = {"required": [name], "properties": {name: {"enum": list(mapping)}}}
        keyword = "oneOf" if "oneOf" in translated else "anyOf"
        alternatives = translated.pop(keyword)
        rules = translated.setdefault("allOf", [])
        if is_complete:
            rules.extend([known, *chosen])
        else:
            # Without a mapping the names of the schemas should be the values, which documents often forget.
            rules.append({"if": known, "then": {"allOf": chosen}, "else": {"anyOf": alternatives}})

    @staticmethod
    def _nullable(translated: dict[str, Any]) -> dict[str, Any]:
        if "type" not in translated or not {"allOf", "anyOf", "oneOf"}.isdisjoint(translated):
            return {"anyOf": [translated, {"type": "null"}]}
        translated["type"] = sorted({*translated["type"], "null"})
        if "enum" in translated and None not in translated["enum"]:
            translated["enum"] = [*translated["enum"], None]
        return translated


def is_given_by_them(pieces: Pieces, schema: Any, word: str) -> bool:
    """Return whether a property is declared with `word`, `readOnly` or `writeOnly`, itself or in what it refers to."""
    if isinstance(schema, dict) and schema.get(word) is True:
        return True
    try:
        found, _ = references.resolve(pieces, schema, "")
    except BrokenReference:
        return False
    return isinstance(found, dict) and found.get(word) is True


def discriminated(pieces: Pieces, schema: Mapping[str, Any], at: str) -> tuple[str, dict[str, str], bool] | None:
    """Return what a discriminator chooses by: a property's name, and a schema's pointer for each of its values.

    The last part tells whether the document maps the values itself. `None` where there is nothing to choose.
    """
    discriminator = schema.get("discriminator")
    name = discriminator.get("propertyName") if isinstance(discriminator, dict) else None
    alternatives = schema.get("oneOf") or schema.get("anyOf")
    if not isinstance(name, str) or not isinstance(alternatives, list) or not isinstance(discriminator, dict):
        return None
    by_name: dict[str, str] = {}
    for alternative in alternatives:
        reference = references.reference_of(alternative)
        if reference is None:
            return None
        try:
            target = references.target_of(reference, at=at, pieces=pieces)
            pieces.at(target)
        except (BrokenReference, pointers.PointsNowhere):
            return None
        by_name[pointers.parse(target)[-1]] = target
    mapping = discriminator.get("mapping")
    if not isinstance(mapping, dict) or not mapping:
        return name, by_name, False
    targets: dict[str, str] = {}
    for value, given in mapping.items():
        if isinstance(given, str):
            found = by_name.get(given) or _target(pieces, given, at)
            if found is None:
                return None
            targets[value] = found
    missing = {word: target for word, target in by_name.items() if target not in targets.values()}
    return name, {**targets, **missing}, True


def _target(pieces: Pieces, reference: str, at: str) -> str | None:
    try:
        target = references.target_of(reference, at=at, pieces=pieces)
        pieces.at(target)
    except (BrokenReference, pointers.PointsNowhere):
        return None
    return target


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_count(value: Any) -> bool:
    return _is_number(value) and value >= 0 and value == int(value)
