"""Reads the members of a JSON body, and says which one is not what it should be."""

from collections.abc import Mapping
from typing import Any, cast

from records.errors import BodyRefused

__all__ = ["as_flag", "as_list", "as_object", "as_text", "record_type"]

_FLAGS = {"true": True, "false": False}


def as_object(value: Any, name: str) -> dict[str, Any]:
    """Return `value` as the object that it is. Raises `BodyRefused`."""
    if not isinstance(value, Mapping):
        raise BodyRefused(f"{name} must be a JSON object.")
    return cast("dict[str, Any]", value)


def as_list(value: Any, name: str) -> list[Any]:
    """Return `value` as the list that it is. Raises `BodyRefused`."""
    if not isinstance(value, list):
        raise BodyRefused(f"{name} must be a list.")
    return value


def as_text(value: Any, name: str) -> str:
    """Return `value` as the text that it is, which is not empty. Raises `BodyRefused`."""
    if not isinstance(value, str) or not value:
        raise BodyRefused(f"{name} must be a text that is not empty.")
    return value


def as_flag(value: Any, name: str) -> bool:
    """Return `value` as a truth value; null and what is missing are false. Raises `BodyRefused`."""
    if value is None or isinstance(value, bool):
        return bool(value)
    found = _FLAGS.get(value.strip().lower()) if isinstance(value, str) else None
    if found is None:
        raise BodyRefused(f"{name} must be true or false.")
    return found


def record_type(record: Mapping[str, Any], name: str) -> str:
    """Return the object that a record says it is of (`attributes.type`). Raises `BodyRefused`."""
    attributes = as_object(record.get("attributes"), f"{name}.attributes")
    return as_text(attributes.get("type"), f"{name}.attributes.type")
