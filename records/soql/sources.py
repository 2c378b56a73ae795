"""Finds what a query names: fields of its object, by way of parents, as far as the user may read them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from django.contrib.auth.models import AbstractUser
from django.db.models import Case, Exists, F, OuterRef, When

from isthmus.objects import sharing
from isthmus.objects.object_types import FieldType, ObjectType
from isthmus.objects.permissions import can_read_field, readable_fields, readable_parent
from records.soql.errors import MalformedQuery, no_such_column, no_such_relationship
from records.soql.statements import Path

__all__ = ["MAX_PARENTS", "NamedField", "Parent", "Source", "guarded", "guarded_by"]

MAX_PARENTS = 5
"""How many parents a path may go up."""


@dataclass(frozen=True)
class Parent:
    """A parent on the way to a field."""

    name: str
    """The relationship's name, as describe spells it."""
    object_type: ObjectType
    key: str
    """Where Django finds its primary key: `account__owner_id`."""
    guard: Any = None
    """The condition under which the user sees the record; `None` when they see every one."""


@dataclass(frozen=True)
class NamedField:
    """A field that a query names."""

    field: FieldType
    owner: ObjectType
    column: str
    """Where Django finds it: `account__name`."""
    parents: tuple[Parent, ...] = ()

    @property
    def expression(self) -> Any:
        """What the database computes for it: null where a parent on the way is none that the user sees."""
        return guarded(self.column, self.parents)

    @property
    def is_guarded(self) -> bool:
        """Whether the user may not see every parent on the way."""
        return any(parent.guard is not None for parent in self.parents)


@dataclass
class Source:
    """The object of a query, for one user. Everything that a query names is found, and allowed, here."""

    object_type: ObjectType
    user: AbstractUser
    aliases: Mapping[str, Path | None] = field(default_factory=dict)
    _found: dict[tuple[str, ...], NamedField] = field(default_factory=dict)

    def named(self, path: Path) -> NamedField:
        """Return the field at the end of `path`. Raises `InvalidField`, `MalformedQuery`."""
        known = self._found.get(path.names)
        if known is None:
            known = self._found[path.names] = self._find(path)
        return known

    def fields(self, chosen: Callable[[FieldType], bool]) -> list[NamedField]:
        """Return the object's own fields that the user may read and for which `chosen` says so."""
        readable = readable_fields(self.user, self.object_type)
        return [NamedField(one, self.object_type, one.attname) for one in readable if chosen(one)]

    def has_field(self, name: str) -> bool:
        """Return whether the object has a field of that name that the user may read."""
        found = self.object_type.find_field(name)
        return found is not None and can_read_field(self.user, self.object_type, found)

    def own_names(self, names: tuple[str, ...]) -> tuple[str, ...]:
        """Return the path without the name of the object itself, or an alias, at its beginning."""
        for _ in range(len(self.aliases) + 1):
            first = names[0].lower()
            if first not in self.aliases:
                break
            way = self.aliases[first]
            names = (*(way.names if way is not None else ()), *names[1:])
            if way is None or not names:
                break
        if len(names) > 1 and names[0].lower() == self.object_type.api_name.lower():
            return names[1:]
        return names

    def _find(self, path: Path) -> NamedField:
        names = self.own_names(path.names)
        if not names:
            raise no_such_column(str(path), self.object_type.api_name, path.at)
        if len(names) - 1 > MAX_PARENTS:
            raise MalformedQuery(f"A path may go up at most {MAX_PARENTS} parents.", at=path.at)
        owner, prefix, parents = self.object_type, "", []
        for name in names[:-1]:
            relationship = readable_parent(self.user, owner, name)
            if relationship is None:
                raise no_such_relationship(name, "field path", path.at)
            key = prefix + relationship.field.attname
            guard = self._guard(relationship.target, key)
            parents.append(Parent(relationship.name, relationship.target, key, guard))
            owner, prefix = relationship.target, f"{prefix}{relationship.field.django_name}__"
        last = owner.find_field(names[-1])
        if last is None or not can_read_field(self.user, owner, last):
            raise no_such_column(names[-1], owner.api_name, path.at)
        return NamedField(last, owner, prefix + last.attname, tuple(parents))

    def _guard(self, target: ObjectType, key: str) -> Any:
        if target.model is None or sharing.sees_everything(self.user, target):
            return None
        return Exists(sharing.visible(self.user, target, target.model._base_manager.filter(pk=OuterRef(key))))


def guarded(column: str, parents: tuple[Parent, ...]) -> Any:
    """Return the expression for a column behind these parents."""
    return guarded_by(F(column), parents)


def guarded_by(expression: Any, parents: tuple[Parent, ...]) -> Any:
    """Return the expression, null where a parent is none that the user sees."""
    for parent in parents:
        if parent.guard is not None:
            expression = Case(When(parent.guard, then=expression), default=None)
    return expression
