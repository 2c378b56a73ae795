"""What a filter looked at."""

from typing import Any

from events.filters import parse_filter
from events.subscribers import Event

__all__ = ["values_of"]


def values_of(expression: str, event: Event) -> list[tuple[str, str]]:
    """Return what a filter looked at: names and values, as the event has them."""

    def value(name: str) -> Any:
        parent, _, child = name.partition(".")
        found = event.payload.get(parent)
        return found.get(child) if child and isinstance(found, dict) else found

    return [(name, "null" if value(name) is None else str(value(name))) for name in parse_filter(expression).fields]
