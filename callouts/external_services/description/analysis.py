"""From a document to operations: what works is taken, what does not is listed with its place and reason."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from callouts.external_services.description import names
from callouts.external_services.description.definitions import CallbackDefinition, OperationDefinition
from callouts.external_services.description.openapi3 import OpenApi3Reader
from callouts.external_services.description.problems import Problem, Unusable, placed
from callouts.external_services.description.reader import METHODS, Found, Reader
from callouts.external_services.description.swagger2 import Swagger2Reader
from callouts.external_services.document import pointers, references
from callouts.external_services.document.limits import DocumentLimits
from callouts.external_services.document.reading import Document, storable
from callouts.external_services.document.references import BrokenReference, Content

__all__ = ["Analysis", "OperationDraft", "analyse"]

_LONGEST_NAME = 255
_MOST_REPEATED = 20
_NO_SCHEMAS_BELOW = frozenset({"example", "examples", "default", "enum", "const"})
_OPERATIONS_BETWEEN_TIME_CHECKS = 64


@dataclass(frozen=True, kw_only=True, slots=True)
class OperationDraft:
    """A callable operation that is not stored yet. Its Python name is given at registration."""

    operation_id: str
    method: str
    path: str
    tag: str
    definition: OperationDefinition
    callbacks: tuple[CallbackDefinition, ...]
    problems: tuple[Problem, ...]

    @property
    def is_asynchronous(self) -> bool:
        """Whether its answer comes to an address that we can give."""
        return any(callback.location != "none" for callback in self.callbacks)


@dataclass(frozen=True, kw_only=True)
class Analysis:
    """What a document offers."""

    operations: tuple[OperationDraft, ...]
    skipped: tuple[Problem, ...]
    """One for each operation that cannot be called."""
    problems: tuple[Problem, ...]
    """What does not keep an operation from being called."""


def analyse(document: Document, limits: DocumentLimits | None = None) -> Analysis:
    """Work out what can be called. Raises `DocumentTooLarge` when the time is up."""
    return _Analysis(document, limits or DocumentLimits()).run()


class _Analysis:
    def __init__(self, document: Document, limits: DocumentLimits) -> None:
        self._document = document
        self._content = document.content
        self._pieces = Content(document.content)
        self._limits = limits
        self._skipped: list[Problem] = []
        self._problems: list[Problem] = []
        self._ids: set[str] = set()
        kind = Swagger2Reader if document.dialect == "2.0" else OpenApi3Reader
        self._reader: Reader = kind(document.content, self._pieces)

    def run(self) -> Analysis:
        for key in self._document.repeated_keys[:_MOST_REPEATED]:
            self._problems.append(Problem(pointer="", reason=f"the key {key!r} occurs twice; the last one counts"))
        found = [operation for operation in self._operations() if operation is not None]
        problems = [*self._problems, *(problem for draft in found for problem in draft.problems)]
        told = {problem.pointer for problem in (*self._skipped, *problems)}
        broken = _broken_references(self._document, self._pieces)
        problems.extend(problem for problem in broken if problem.pointer not in told)
        if not problems and not self._skipped:
            return Analysis(operations=tuple(found), skipped=(), problems=())
        located = placed([*self._skipped, *problems], self._document.sources)
        return Analysis(
            operations=tuple(found),
            skipped=located[: len(self._skipped)],
            problems=located[len(self._skipped) :],
        )

    def _operations(self) -> Iterator[OperationDraft | None]:
        for count, found in enumerate(self._found()):
            if count % _OPERATIONS_BETWEEN_TIME_CHECKS == 0:
                self._limits.check_time()
            yield self._operation(found)

    def _found(self) -> Iterator[Found]:
        paths = self._content.get("paths", {})
        if not isinstance(paths, dict):
            self._problems.append(Problem(pointer="/paths", reason="this is no mapping of paths"))
            return
        for path, given in paths.items():
            if path.startswith("x-"):
                continue
            at = pointers.join("paths", path)
            try:
                item, item_at = references.resolve(self._pieces, given, at)
            except BrokenReference as broken:
                self._skip(path, broken.pointer, broken.reason)
                continue
            if not isinstance(item, dict) or not path.startswith("/"):
                reason = "a path starts with a slash" if isinstance(item, dict) else "this is no path item"
                self._skip(path, at, reason)
                continue
            yield from self._of_item(path, item, item_at)

    def _of_item(self, path: str, item: dict[str, Any], item_at: str) -> Iterator[Found]:
        for method in METHODS:
            if method not in item:
                continue
            if method == "trace":
                self._skip(f"TRACE {path}", f"{item_at}/trace", "TRACE is never sent")
            else:
                yield Found(path, method, item[method], f"{item_at}/{method}", item, item_at)

    def _skip(self, operation: str, pointer: str, reason: str) -> None:
        self._skipped.append(Problem(pointer=pointer, reason=reason, operation=operation))

    def _operation(self, found: Found) -> OperationDraft | None:
        if not isinstance(found.value, dict):
            self._skip(f"{found.method.upper()} {found.path}", found.at, "this is no operation")
            return None
        problems: list[Problem] = []
        operation_id = self._operation_id(found, problems)
        try:
            definition = self._reader.definition(found, operation_id, problems)
        except (Unusable, BrokenReference) as unusable:
            self._skip(operation_id, unusable.pointer, unusable.reason)
            return None
        tags = found.value.get("tags")
        return OperationDraft(
            operation_id=operation_id,
            method=found.method.upper(),
            path=storable(found.path),
            tag=storable(tags[0]) if isinstance(tags, list) and tags and isinstance(tags[0], str) else "",
            definition=definition,
            callbacks=self._reader.callbacks(found, definition, operation_id, problems),
            problems=tuple(problems),
        )

    def _operation_id(self, found: Found, problems: list[Problem]) -> str:
        given = found.value.get("operationId")
        given = storable(given) if isinstance(given, str) else given
        if isinstance(given, str) and 0 < len(given) <= _LONGEST_NAME and given not in self._ids:
            operation_id = given
        else:
            made = names.operation_id_for(found.method, found.path)[: _LONGEST_NAME - 10]
            operation_id = names.allocate(made, self._ids)
            if given is not None:
                reason = f"the operationId is used twice, is no text or is too long; it is called {operation_id!r}"
                at = f"{found.at}/operationId"
                problems.append(Problem(pointer=at, reason=reason, operation=operation_id))
        self._ids.add(operation_id)
        return operation_id


def _broken_references(document: Document, pieces: Content) -> list[Problem]:
    """Return where the document refers to what is not there. Any value is taken in such a place."""
    broken = {reference for reference in document.references if not _leads_somewhere(reference, pieces)}
    if not broken:
        return []
    found = []
    waiting: list[tuple[Any, str, bool]] = [(document.content, "", False)]
    while waiting:
        value, at, is_named = waiting.pop()
        if isinstance(value, list):
            waiting.extend((child, f"{at}/{index}", False) for index, child in enumerate(value))
        elif isinstance(value, dict):
            reference = value.get("$ref")
            if isinstance(reference, str) and reference in broken and not is_named:
                found.append(Problem(pointer=at, reason=_why_broken(reference)))
            for key, child in value.items():
                # Under `properties`, keys are names; elsewhere these hold data, not schemas.
                if is_named or (key not in _NO_SCHEMAS_BELOW and not key.startswith("x-e")):
                    waiting.append((child, pointers.join(key, base=at), not is_named and key == "properties"))
    return sorted(found, key=lambda problem: problem.pointer)


def _leads_somewhere(reference: str, pieces: Content) -> bool:
    try:
        pieces.at(references.target_of(reference, at="", pieces=pieces))
    except (BrokenReference, pointers.PointsNowhere):
        return False
    return True


def _why_broken(reference: str) -> str:
    if reference.startswith("#"):
        return f"there is nothing at {reference[:200]}; any value is taken here"
    return f"it refers to {reference[:200]}, which is not part of what was given; any value is taken here"
