"""The sObjects that exist, found by API name, by model or by key prefix."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from django.db import models

from isthmus.objects.errors import InvalidExposure, UnknownObject
from isthmus.objects.object_types import ObjectType

__all__ = [
    "all_objects",
    "generation",
    "get_object",
    "look_further",
    "object_of_model",
    "object_of_prefix",
    "register",
    "register_temporarily",
    "unregister",
]

_by_name: dict[str, ObjectType] = {}
_by_model: dict[type[models.Model], ObjectType] = {}
_by_prefix: dict[str, ObjectType] = {}
_finders: list[Callable[[str], object]] = []
_generation = 0


def register(object_type: ObjectType) -> None:
    """Add an sObject. Raises `InvalidExposure` when its name, model or key prefix is taken."""
    name, prefix, model = object_type.api_name.lower(), object_type.key_prefix, object_type.model
    if name in _by_name:
        raise InvalidExposure(f"An sObject named {object_type.api_name} is registered already.")
    if model is not None and model in _by_model:
        raise InvalidExposure(f"{model.__name__} is exposed already, as {_by_model[model]}.")
    if prefix in _by_prefix:
        raise InvalidExposure(
            f"{object_type.api_name} and {_by_prefix[prefix]} have the same key prefix {prefix}. "
            "Give one of them another: expose(…, key_prefix=…)."
        )
    _by_name[name] = _by_prefix[prefix] = object_type
    if model is not None:
        _by_model[model] = object_type
    _advance()


@contextmanager
def register_temporarily(object_type: ObjectType) -> Iterator[ObjectType]:
    """Add an sObject while the block runs (for tests)."""
    register(object_type)
    try:
        yield object_type
    finally:
        unregister(object_type)


def unregister(object_type: ObjectType) -> None:
    """Take an sObject away again."""
    del _by_name[object_type.api_name.lower()], _by_prefix[object_type.key_prefix]
    if object_type.model is not None:
        del _by_model[object_type.model]
    _advance()


def get_object(api_name_or_model: str | type[models.Model]) -> ObjectType:
    """Return the sObject of that API name, whatever its case, or of that model. Raises `UnknownObject`."""
    if isinstance(api_name_or_model, str):
        found, asked = _by_name.get(api_name_or_model.lower()), api_name_or_model
        if found is None and any(finder(asked) is not None for finder in _finders):
            found = _by_name.get(asked.lower())
    else:
        found, asked = object_of_model(api_name_or_model), api_name_or_model.__name__
    if found is None:
        raise UnknownObject(f"sObject type '{asked}' is not supported.")
    return found


def look_further(finder: Callable[[str], object]) -> None:
    """Ask `finder` about API names that are not known: it registers the sObject and returns something, or `None`."""
    _finders.append(finder)


def object_of_model(model: type[models.Model]) -> ObjectType | None:
    """Return the sObject that the model (or the one it is a proxy of) is exposed as; `None` when it is not."""
    return _by_model.get(model) or _by_model.get(model._meta.concrete_model or model)


def object_of_prefix(prefix: str) -> ObjectType | None:
    """Return the sObject whose record ids begin so; `None` when there is none."""
    return _by_prefix.get(prefix)


def all_objects() -> list[ObjectType]:
    """Return every sObject, by API name."""
    return sorted(_by_name.values(), key=lambda object_type: object_type.api_name.lower())


def generation() -> int:
    """Return a number that grows with every registration, so that what was derived from them can be renewed."""
    return _generation


def _advance() -> None:
    global _generation
    _generation += 1
