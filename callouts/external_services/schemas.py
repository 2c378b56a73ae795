"""The schemas of a document: which can be used, and the validators made of those that are.

A schema is named by its JSON pointer and is turned into JSON Schema 2020-12 when it is first needed, with whatever it
reaches; what it reaches twice is held once, so circles end. Only what constrains a value is taken over: OpenAPI 3.0's
own words (`nullable`, a boolean `exclusiveMinimum`) are translated, and a keyword with a value that it cannot have is
left out, for the service judges in the end.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import jsonschema_rs

from callouts.external_services import pointers, references
from callouts.external_services.errors import ArgumentProblem
from callouts.external_services.references import BrokenReference

__all__ = ["Direction", "SchemaGraph", "SchemaValidator", "compile_schema"]

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
_BACKTRACK_LIMIT = 100_000
_MOST_PROBLEMS = 50
_HIDDEN = "the value"


class SchemaGraph:
    """Which of a document's schemas reach a broken reference. Every schema is walked once."""

    def __init__(self, content: dict[str, Any]) -> None:
        self._content = content
        self._broken: dict[str, BrokenReference] = {}
        self._used_by: dict[str, list[str]] = {}
        self._known: set[str] = set()

    def add(self, pointer: str) -> None:
        """Walk the schema at `pointer` and all that it reaches."""
        waiting = [pointer]
        while waiting:
            node = waiting.pop()
            if node in self._known:
                continue
            self._known.add(node)
            for target in self._targets(node):
                self._used_by.setdefault(target, []).append(node)
                waiting.append(target)

    def spread(self) -> None:
        """Work out, after the last `add`, which schemas cannot be used because of one that they reach."""
        waiting = list(self._broken)
        while waiting:
            node = waiting.pop()
            for user in self._used_by.get(node, ()):
                if user not in self._broken:
                    self._broken[user] = self._broken[node]
                    waiting.append(user)

    def problem_of(self, pointer: str) -> BrokenReference | None:
        """Return why the schema at `pointer` cannot be used, or `None`."""
        return self._broken.get(pointer)

    def _targets(self, node: str) -> list[str]:
        found = []
        try:
            for pointer, schema in _walk(pointers.resolve(self._content, node), node):
                reference = references.reference_of(schema)
                if reference is not None:
                    found.append(self._existing(references.target_of(reference, at=pointer), reference, pointer))
        except BrokenReference as broken:
            self._broken[node] = broken
        return found

    def _existing(self, target: str, reference: str, at: str) -> str:
        try:
            pointers.resolve(self._content, target)
        except pointers.PointsNowhere:
            raise BrokenReference(at, f"there is nothing at {reference[:200]}") from None
        return target


def _walk(schema: Any, pointer: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield a schema and the schemas within it; texts of examples and defaults are no schemas."""
    waiting: list[tuple[str, Any]] = [(pointer, schema)]
    while waiting:
        at, found = waiting.pop()
        if isinstance(found, bool):
            continue
        if not isinstance(found, dict):
            raise BrokenReference(at, "this is no schema")
        yield at, found
        waiting.extend(_children(found, at))


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
    content: dict[str, Any], pointer: str, *, is_3_0: bool, direction: Direction = "request"
) -> SchemaValidator:
    """Return the validator for the schema at `pointer`. Raises `BrokenReference`."""
    bundle = _Translation(content, is_3_0=is_3_0, direction=direction).bundle(pointer)
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
        validate_formats=False,
        mask=_HIDDEN,
        pattern_options=jsonschema_rs.FancyRegexOptions(backtrack_limit=_BACKTRACK_LIMIT),
        offline=True,
    )


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

    def __init__(self, content: dict[str, Any], *, is_3_0: bool, direction: Direction) -> None:
        self._content = content
        self._is_3_0 = is_3_0
        self._absent = "readOnly" if direction == "request" else "writeOnly"
        self._keys: dict[str, str] = {}
        self._waiting: list[str] = []

    def bundle(self, pointer: str) -> dict[str, Any]:
        schema: dict[str, Any] = {"$ref": self._key(pointer), "$defs": {}}
        while self._waiting:
            node = self._waiting.pop()
            try:
                found = pointers.resolve(self._content, node)
            except pointers.PointsNowhere as error:
                raise BrokenReference(pointer, f"it needs {node}, which is not there") from error
            translated = self._translate(found, node)
            schema["$defs"][self._keys[node].removeprefix("#/$defs/")] = translated
        return schema

    def _key(self, pointer: str) -> str:
        if pointer not in self._keys:
            self._keys[pointer] = f"#/$defs/{len(self._keys)}"
            self._waiting.append(pointer)
        return self._keys[pointer]

    def _translate(self, schema: Any, at: str) -> Any:
        if not isinstance(schema, dict):
            return schema if isinstance(schema, bool) else True
        reference = references.reference_of(schema)
        if reference is not None and self._is_3_0:
            return {"$ref": self._key(references.target_of(reference, at=at))}
        translated = self._assertions(schema)
        if reference is not None:
            translated["$ref"] = self._key(references.target_of(reference, at=at))
        for pointer, child in _children(schema, at):
            *_, keyword, name = ["", *pointers.parse(pointer.removeprefix(at))]
            self._put(translated, keyword, name, self._translate(child, pointer))
        self._require(schema, translated)
        return self._nullable(translated) if self._is_3_0 and schema.get("nullable") is True else translated

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
        if not self._is_3_0 and "const" in schema:
            taken["const"] = schema["const"]
        return taken

    def _require(self, schema: dict[str, Any], translated: dict[str, Any]) -> None:
        required = schema.get("required")
        if isinstance(required, list):
            properties = schema.get("properties")
            named = properties if isinstance(properties, dict) else {}
            kept = [name for name in required if isinstance(name, str) and not self._is_absent(named.get(name))]
            translated["required"] = sorted(set(kept))

    def _is_absent(self, schema: Any) -> bool:
        try:
            schema = schema if self._declares(schema) else references.resolve(self._content, schema, "")[0]
        except BrokenReference:
            return False
        return self._declares(schema)

    def _declares(self, schema: Any) -> bool:
        return isinstance(schema, dict) and schema.get(self._absent) is True

    @staticmethod
    def _nullable(translated: dict[str, Any]) -> dict[str, Any]:
        if "type" not in translated:
            return {"anyOf": [translated, {"type": "null"}]}
        translated["type"] = sorted({*translated["type"], "null"})
        if "enum" in translated and None not in translated["enum"]:
            translated["enum"] = [*translated["enum"], None]
        return translated


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_count(value: Any) -> bool:
    return _is_number(value) and value >= 0 and value == int(value)
