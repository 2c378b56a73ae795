"""What differs between two versions of a document, for those who call its operations.

Two documents are first compared piece by piece, as texts; only operations that reach a piece which differs are looked
at closely. A difference is *breaking* when a call that was right may now be refused, or when code that reads answers
may no longer find what it reads.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import msgspec

from callouts.external_services.description.definitions import (
    AnswerDefinition,
    BodyDefinition,
    CallbackDefinition,
    OperationDefinition,
    ParameterDefinition,
)
from callouts.external_services.document import references
from callouts.external_services.document.references import BrokenReference, Pieces

__all__ = ["Compared", "Difference", "OperationDifference", "Side", "compare"]

Kind = Literal["added", "removed", "changed"]

_MOST_OF_ONE = 50
_DEEPEST = 25
_TIGHTER = {
    "maximum": -1, "exclusiveMaximum": -1, "maxLength": -1, "maxItems": -1, "maxProperties": -1,
    "minimum": 1, "exclusiveMinimum": 1, "minLength": 1, "minItems": 1, "minProperties": 1,
}  # fmt: skip
"""Keyword → in which direction a change of it refuses more values."""


@dataclass(frozen=True, kw_only=True)
class Compared:
    """An operation of one side."""

    operation_id: str
    name: str
    method: str
    path: str
    contract: OperationDefinition
    callbacks: tuple[CallbackDefinition, ...]


@dataclass(frozen=True, kw_only=True)
class Side:
    """One version: its operations and its document."""

    operations: Mapping[str, Compared]
    """By operation id."""
    pieces: Pieces
    texts: Mapping[str, bytes]
    """Each piece as JSON, by its pointer."""


@dataclass(frozen=True, kw_only=True)
class Difference:
    """One difference within an operation."""

    where: str
    """Such as `body /applicant/name`, `parameter limit`, `answer 200 /status`."""
    what: str
    is_breaking: bool


@dataclass(frozen=True, kw_only=True)
class OperationDifference:
    """What became of one operation."""

    operation_id: str
    name: str
    kind: Kind
    is_breaking: bool
    differences: tuple[Difference, ...] = ()

    def as_json(self) -> dict[str, Any]:
        return {
            "operationId": self.operation_id,
            "name": self.name,
            "kind": self.kind,
            "breaking": self.is_breaking,
            "differences": [
                {"where": found.where, "what": found.what, "breaking": found.is_breaking} for found in self.differences
            ],
        }


def compare(old: Side, new: Side) -> list[OperationDifference]:
    """Return what became of the operations, by operation id; those that say the same are left out."""
    found: list[OperationDifference] = []
    unequal = _unequal_pieces(old, new)
    for operation_id in sorted(old.operations.keys() | new.operations.keys()):
        before, after = old.operations.get(operation_id), new.operations.get(operation_id)
        if before is None or after is None:
            one = before or after
            if one is not None:
                kind: Kind = "removed" if after is None else "added"
                found.append(
                    OperationDifference(operation_id=operation_id, name=one.name, kind=kind, is_breaking=after is None)
                )
            continue
        if before.contract == after.contract and before.path == after.path and not _reaches(before, unequal):
            continue
        told = tuple(_Comparison(old.pieces, new.pieces).operation(before, after))[:_MOST_OF_ONE]
        if told:
            breaking = any(difference.is_breaking for difference in told)
            found.append(
                OperationDifference(
                    operation_id=operation_id,
                    name=after.name,
                    kind="changed",
                    is_breaking=breaking,
                    differences=told,
                )
            )
    return found


_REFERENCE = re.compile(rb'"\$ref":"#([^"\\]*)"')


def _unequal_pieces(old: Side, new: Side) -> set[str]:
    """Return the pointers of the pieces that differ, and of all that refer to them, however far."""
    unequal = {at for at in old.texts.keys() | new.texts.keys() if old.texts.get(at) != new.texts.get(at)}
    used_by: dict[str, set[str]] = {}
    for at, text in [*old.texts.items(), *new.texts.items()]:
        for target in _REFERENCE.findall(text):
            used_by.setdefault(_piece(target.decode(), new.texts), set()).add(at)
    waiting = list(unequal)
    while waiting:
        for user in used_by.get(waiting.pop(), ()):
            if user not in unequal:
                unequal.add(user)
                waiting.append(user)
    return unequal


def _piece(pointer: str, texts: Mapping[str, bytes]) -> str:
    while pointer and pointer not in texts:
        pointer = pointer.rpartition("/")[0]
    return pointer


def _reaches(operation: Compared, unequal: set[str]) -> bool:
    pointers = [found.schema for found in operation.contract.parameters]
    media = list(operation.contract.body.media) if operation.contract.body else []
    for answer in operation.contract.answers.values():
        media.extend(answer.media)
    for callback in operation.callbacks:
        media.extend(one for request in callback.methods.values() if request.body for one in request.body.media)
    pointers.extend(one.schema for one in media)
    pointers.append(f"/paths/{operation.path.replace('~', '~0').replace('/', '~1')}")
    return any(_piece_in(pointer, unequal) for pointer in pointers if pointer)


def _piece_in(pointer: str, unequal: set[str]) -> bool:
    while pointer:
        if pointer in unequal:
            return True
        pointer = pointer.rpartition("/")[0]
    return False


@dataclass
class _Comparison:
    old: Pieces
    new: Pieces
    _seen: set[tuple[str, str, bool]] = field(default_factory=set)

    def operation(self, before: Compared, after: Compared) -> Iterator[Difference]:
        if (before.method, before.path) != (after.method, after.path):
            yield _fine("address", f"{before.method} {before.path} became {after.method} {after.path}")
        if before.name != after.name:
            yield _breaking("name", f"{before.name} became {after.name}")
        if after.contract.is_deprecated and not before.contract.is_deprecated:
            yield _fine("operation", "it is deprecated now")
        if before.contract.security != after.contract.security:
            yield _fine("security", "other security schemes are asked for")
        yield from self._parameters(before.contract.parameters, after.contract.parameters)
        yield from self._body(before.contract.body, after.contract.body)
        yield from self._answers(before.contract.answers, after.contract.answers)
        yield from self._callbacks(before.callbacks, after.callbacks)

    def _parameters(
        self, before: Iterable[ParameterDefinition], after: Iterable[ParameterDefinition]
    ) -> Iterator[Difference]:
        old = {(found.name, found.location): found for found in before}
        new = {(found.name, found.location): found for found in after}
        for key in [*old, *(key for key in new if key not in old)]:
            where = f"parameter {key[0]}"
            if key not in new:
                yield _breaking(where, f"it is no longer taken in the {key[1]}")
            elif key not in old:
                told = "it is new, and required" if new[key].required else "it is new"
                yield Difference(where=where, what=told, is_breaking=new[key].required)
            else:
                if new[key].required and not old[key].required:
                    yield _breaking(where, "it is required now")
                yield from self._schemas(old[key].schema, new[key].schema, where, is_request=True)

    def _body(self, before: BodyDefinition | None, after: BodyDefinition | None) -> Iterator[Difference]:
        if before is None or after is None:
            if before is not None:
                yield _breaking("body", "none is taken any more")
            elif after is not None:
                told = "one is taken now, and required" if after.required else "one is taken now"
                yield Difference(where="body", what=told, is_breaking=after.required)
            return
        if after.required and not before.required:
            yield _breaking("body", "it is required now")
        for content_type in before.content_types:
            if content_type not in after.content_types:
                yield _breaking("body", f"{content_type} is no longer taken")
        yield from self._schemas(before.schema, after.schema, "body", is_request=True)

    def _answers(
        self, before: Mapping[str, AnswerDefinition], after: Mapping[str, AnswerDefinition]
    ) -> Iterator[Difference]:
        for status in [*before, *(status for status in after if status not in before)]:
            where = f"answer {status}"
            if status not in after:
                yield Difference(where=where, what="it is no longer described", is_breaking=status.startswith("2"))
            elif status not in before:
                yield _fine(where, "it is new")
            else:
                old = next((found.schema for found in before[status].media), None)
                new = next((found.schema for found in after[status].media), None)
                yield from self._schemas(old, new, where, is_request=False)

    def _callbacks(
        self, before: Iterable[CallbackDefinition], after: Iterable[CallbackDefinition]
    ) -> Iterator[Difference]:
        old = {(found.name, found.expression): found for found in before}
        new = {(found.name, found.expression): found for found in after}
        for key in old:
            if key not in new:
                yield _breaking(f"callback {key[0]}", f"{key[1]} is no longer called")
        for key in new:
            if key not in old:
                yield _fine(f"callback {key[0]}", f"{key[1]} is called, too")
            else:
                for method, request in new[key].methods.items():
                    earlier = old[key].methods.get(method)
                    if earlier is not None and earlier.body and request.body:
                        where = f"callback {key[0]}"
                        yield from self._schemas(earlier.body.schema, request.body.schema, where, is_request=False)

    def _schemas(self, before: str | None, after: str | None, where: str, *, is_request: bool) -> Iterator[Difference]:
        if before is None and after is None:
            return
        old = {"$ref": f"#{before}"} if before is not None else {}
        new = {"$ref": f"#{after}"} if after is not None else {}
        self._seen.clear()
        yield from self._schema(old, new, before or "", after or "", where, "", is_request, 0)

    def _schema(
        self, old: Any, new: Any, old_at: str, new_at: str, where: str, at: str, is_request: bool, depth: int
    ) -> Iterator[Difference]:
        try:
            old, old_at = references.resolve(self.old, old, f"{old_at}#")
            new, new_at = references.resolve(self.new, new, f"{new_at}#")
        except BrokenReference:
            return
        key = (old_at, new_at, is_request)
        if depth > _DEEPEST or key in self._seen or not isinstance(old, dict) or not isinstance(new, dict):
            return
        self._seen.add(key)
        place = f"{where} {at}".strip()
        yield from _types(old, new, place, is_request)
        yield from _values(old, new, place, is_request)
        if is_request:
            yield from _limits(old, new, place)
        yield from self._properties(old, new, old_at, new_at, where, at, is_request, depth)
        for keyword, step in (("items", "/-"), ("additionalProperties", "/*")):
            if isinstance(old.get(keyword), dict) and isinstance(new.get(keyword), dict):
                yield from self._schema(
                    old[keyword], new[keyword], f"{old_at}/{keyword}", f"{new_at}/{keyword}",
                    where, f"{at}{step}", is_request, depth + 1,
                )  # fmt: skip
        for keyword in ("allOf", "oneOf", "anyOf"):
            yield from self._parts(old, new, old_at, new_at, where, at, is_request, depth, keyword)

    def _properties(
        self, old: Any, new: Any, old_at: str, new_at: str, where: str, at: str, is_request: bool, depth: int
    ) -> Iterator[Difference]:
        before, after = _mapping(old.get("properties")), _mapping(new.get("properties"))
        was, now = _names(old.get("required")), _names(new.get("required"))
        for name in [*before, *(name for name in after if name not in before)]:
            place = f"{where} {at}/{name}"
            if name not in after:
                yield _breaking(place, "it is gone")
            elif name not in before:
                is_required = is_request and name in now
                yield Difference(
                    where=place, what="it is new, and required" if is_required else "it is new",
                    is_breaking=is_required,
                )  # fmt: skip
            else:
                if is_request and name in now and name not in was:
                    yield _breaking(place, "it is required now")
                if not is_request and name in was and name not in now:
                    yield _breaking(place, "it may be missing now")
                yield from self._schema(
                    before[name], after[name], f"{old_at}/properties/{name}", f"{new_at}/properties/{name}",
                    where, f"{at}/{name}", is_request, depth + 1,
                )  # fmt: skip

    def _parts(
        self, old: Any, new: Any, old_at: str, new_at: str, where: str, at: str, is_request: bool, depth: int,
        keyword: str,
    ) -> Iterator[Difference]:  # fmt: skip
        before, after = old.get(keyword), new.get(keyword)
        if not isinstance(before, list) or not isinstance(after, list):
            return
        if len(before) != len(after):
            fewer = len(after) < len(before)
            refuses = fewer if keyword != "allOf" else not fewer
            told = f"{keyword} had {len(before)} parts and has {len(after)}"
            yield Difference(where=f"{where} {at}".strip(), what=told, is_breaking=refuses == is_request)
        for index, (one, other) in enumerate(zip(before, after, strict=False)):
            yield from self._schema(
                one, other, f"{old_at}/{keyword}/{index}", f"{new_at}/{keyword}/{index}",
                where, at, is_request, depth + 1,
            )  # fmt: skip


def _types(old: Mapping[str, Any], new: Mapping[str, Any], place: str, is_request: bool) -> Iterator[Difference]:
    before, after = _type_names(old), _type_names(new)
    if before == after or (not before and not after):
        return
    lost = before - after if is_request else after - before
    widens = {"integer"} == before - after and "number" in after if is_request else False
    told = f"its type was {_or(before)} and is {_or(after)}"
    is_breaking = (bool(lost) or not before) and bool(after if is_request else before) and not widens
    yield Difference(where=place, what=told, is_breaking=is_breaking)


def _type_names(schema: Mapping[str, Any]) -> set[str]:
    given = schema.get("type")
    names = {given} if isinstance(given, str) else {name for name in given if isinstance(name, str)} if given else set()
    return names | {"null"} if names and schema.get("nullable") is True else names


def _or(names: set[str]) -> str:
    return " or ".join(sorted(names)) or "anything"


def _values(old: Mapping[str, Any], new: Mapping[str, Any], place: str, is_request: bool) -> Iterator[Difference]:
    before, after = old.get("enum"), new.get("enum")
    if before == after:
        return
    was = {msgspec.json.encode(value) for value in before} if isinstance(before, list) else None
    now = {msgspec.json.encode(value) for value in after} if isinstance(after, list) else None
    if was is None:
        yield Difference(where=place, what="only listed values are allowed now", is_breaking=is_request)
    elif now is None:
        yield Difference(where=place, what="any value is allowed now", is_breaking=not is_request)
    else:
        for value in sorted(was - now):
            told = f"the value {value.decode()[:100]} is gone"
            yield Difference(where=place, what=told, is_breaking=is_request)
        for value in sorted(now - was):
            yield _fine(place, f"the value {value.decode()[:100]} is new")


def _limits(old: Mapping[str, Any], new: Mapping[str, Any], place: str) -> Iterator[Difference]:
    for keyword, tighter in _TIGHTER.items():
        before, after = old.get(keyword), new.get(keyword)
        numbers = [value for value in (before, after) if isinstance(value, int | float)]
        if before == after or not numbers or isinstance(after, bool) or isinstance(before, bool):
            continue
        is_breaking = after is not None and (before is None or (after - before) * tighter > 0)
        yield Difference(where=place, what=f"{keyword} was {before} and is {after}", is_breaking=is_breaking)
    if old.get("pattern") != new.get("pattern") and new.get("pattern") is not None:
        yield _breaking(place, "another pattern is asked for")


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _names(value: Any) -> set[str]:
    return {name for name in value if isinstance(name, str)} if isinstance(value, list) else set()


def _breaking(where: str, what: str) -> Difference:
    return Difference(where=where, what=what, is_breaking=True)


def _fine(where: str, what: str) -> Difference:
    return Difference(where=where, what=what, is_breaking=False)
