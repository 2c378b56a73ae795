"""Records with the records below them, created in one request or not at all.

Reference: https://developer.salesforce.com/docs/atlas.en-us.api_rest.meta/api_rest/resources_composite_sobject_tree.htm
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.contrib.auth.models import AbstractUser
from django.db import transaction

from isthmus.errors import IsthmusError
from isthmus.objects.actions import save
from isthmus.objects.object_types import ObjectType
from isthmus.objects.permissions import readable_child
from isthmus.objects.results import ROLLED_BACK, Operation, SaveError, SaveResult
from records import reading, writing
from records.calls import Answer, Call
from records.composite import shapes
from records.errors import PartLimitExceeded, RecordLimitExceeded

__all__ = ["MAX_LEVELS", "MAX_RECORDS", "MAX_TYPES", "create"]

MAX_RECORDS = 200
"""Records of all levels together."""
MAX_LEVELS = 5
MAX_TYPES = 5
"""Different objects in one tree."""


@dataclass(eq=False)
class _Node:
    """One record of the tree."""

    reference_id: str
    object_type: ObjectType
    values: dict[str, Any]
    parent: "_Node | None" = None
    parent_field: str = ""
    """The field that names the parent."""
    record_id: str = ""
    errors: list[SaveError] = field(default_factory=list)

    def row(self) -> dict[str, Any]:
        """Return what is to be written, once the parent has an id."""
        return {**self.values, self.parent_field: self.parent.record_id} if self.parent is not None else self.values


def create(call: Call, object_name: str) -> Answer:
    """Create the trees in the body of a call. Raises what is wrong with the whole."""
    root = reading.object_of(object_name, call.user)
    records = shapes.as_list(call.json_object().get("records"), "records")
    levels = list(_levels(call.user, root, records))
    nodes = [node for level in levels for node in level]
    _note_repeated_names(nodes)
    if not _failed(nodes):
        with transaction.atomic():
            for level in levels:
                _write(call.user, level)
                if _failed(level):
                    transaction.set_rollback(True)
                    break
    failed = _failed(nodes)
    if failed:
        return Answer(status=400, body={"hasErrors": True, "results": [_refused(node) for node in failed]})
    results = [{"referenceId": node.reference_id, "id": node.record_id} for node in nodes]
    return Answer(status=201, body={"hasErrors": False, "results": results})


def _levels(user: AbstractUser, root: ObjectType, records: Sequence[Any]) -> Iterator[list[_Node]]:
    """Yield the nodes level by level, from the top."""
    found = [(_node(record, f"records[{place}]", root), record) for place, record in enumerate(records)]
    count, types = 0, {root}
    while found:
        count += len(found)
        if count > MAX_RECORDS:
            raise RecordLimitExceeded(MAX_RECORDS)
        types |= {node.object_type for node, _ in found}
        if len(types) > MAX_TYPES:
            raise PartLimitExceeded(f"A tree has records of at most {MAX_TYPES} objects.")
        below = [child for node, record in found for child in _children(user, node, record)]
        yield [node for node, _ in found]
        found = below


def _node(given: Any, name: str, object_type: ObjectType, parent: _Node | None = None, by: str = "") -> _Node:
    record = shapes.as_object(given, name)
    told = shapes.record_type(record, name)
    reference_id = shapes.as_text(record["attributes"].get("referenceId"), f"{name}.attributes.referenceId")
    values = {key: value for key, value in record.items() if key != "attributes" and not _is_branch(value)}
    node = _Node(reference_id, object_type, values, parent, by)
    if told.lower() != object_type.api_name.lower():
        node.errors.append(
            SaveError("INVALID_INPUT", f"A record of {object_type} belongs here, and not of {told[:80]}.")
        )
    if by and any(key.lower() == by.lower() for key in values):
        node.errors.append(SaveError("INVALID_INPUT", f"{by} is what the record above gives.", (by,)))
    return node


def _children(user: AbstractUser, node: _Node, record: Mapping[str, Any]) -> Iterator[tuple[_Node, Any]]:
    depth, above = 1, node.parent
    while above is not None:
        depth, above = depth + 1, above.parent
    for name, branch in record.items():
        if name == "attributes" or not _is_branch(branch):
            continue
        if depth >= MAX_LEVELS:
            raise PartLimitExceeded(f"A tree has at most {MAX_LEVELS} levels.")
        relationship = readable_child(user, node.object_type, name)
        if relationship is None:
            message = f"No such relationship '{name}' on sobject of type {node.object_type}"
            node.errors.append(SaveError("INVALID_FIELD", message, (name,)))
            continue
        for place, child in enumerate(shapes.as_list(branch["records"], f"{name}.records")):
            found = _node(child, f"{name}.records[{place}]", relationship.owner, node, relationship.field.api_name)
            yield found, child


def _is_branch(value: Any) -> bool:
    # A parent named by its external id is an object, too.
    return isinstance(value, Mapping) and "records" in value


def _note_repeated_names(nodes: Sequence[_Node]) -> None:
    seen: set[str] = set()
    for node in nodes:
        if node.reference_id in seen:
            node.errors.append(SaveError("INVALID_INPUT", "Duplicate ReferenceId provided in the request."))
        seen.add(node.reference_id)


def _write(user: AbstractUser, level: Sequence[_Node]) -> None:
    """Create the records of a level, those of one object at once."""
    for object_type in dict.fromkeys(node.object_type for node in level):
        nodes = [node for node in level if node.object_type is object_type]
        for node, result in zip(nodes, _saved(user, object_type, [node.row() for node in nodes]), strict=True):
            node.record_id = result.id or ""
            if not result.success:
                node.errors += [error for error in result.errors if error != ROLLED_BACK]


def _saved(user: AbstractUser, object_type: ObjectType, rows: Sequence[Mapping[str, Any]]) -> list[SaveResult]:
    try:
        return save(user, object_type, Operation.CREATE, rows, all_or_none=True)
    except IsthmusError as error:
        if error.status >= 500:
            raise
        return [SaveResult.failed([SaveError(error.code, error.message, error.fields)]) for _ in rows]


def _failed(nodes: Sequence[_Node]) -> list[_Node]:
    return [node for node in nodes if node.errors]


def _refused(node: _Node) -> dict[str, Any]:
    return {"referenceId": node.reference_id, "errors": writing.error_bodies(node.errors)}
