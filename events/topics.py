"""The topics' rows, by name. A process asks for each once: topics never go."""

from collections.abc import Iterable

from django.db import connection, transaction

from events.errors import UnknownTopic
from events.models import Topic
from events.names import topic_kind

__all__ = ["ensure", "existing_id", "forget", "topic_id"]

_known: dict[str, int] = {}


def topic_id(name: str) -> int:
    """Return the primary key of the topic, which is made when it is not there yet."""
    known = _known.get(name)
    if known is None:
        known = ensure([name])[name].pk
    return known


def existing_id(name: str) -> int:
    """Return the primary key of a topic that is there already. Raises `UnknownTopic`."""
    if name not in _known and not Topic.objects.filter(name=name).exists():
        raise UnknownTopic(f"The topic {name!r} is not in the database yet: run `manage.py migrate`.")
    return topic_id(name)


def ensure(names: Iterable[str]) -> dict[str, Topic]:
    """Return the topics by name; those that are missing are made."""
    wanted = set(names)
    found = {topic.name: topic for topic in Topic.objects.filter(name__in=wanted)}
    if missing := sorted(wanted - found.keys()):
        Topic.objects.bulk_create([Topic(name=name, kind=topic_kind(name)) for name in missing], ignore_conflicts=True)
        found = {topic.name: topic for topic in Topic.objects.filter(name__in=wanted)}
    ids = {name: topic.pk for name, topic in found.items()}
    # Only after the commit: if this transaction is rolled back, so may be the rows.
    transaction.on_commit(lambda: _remember(ids))
    return found


def _remember(ids: dict[str, int]) -> None:
    # Tests run the hooks of a transaction that they roll back in the end.
    if not connection.in_atomic_block:
        _known.update(ids)


def forget() -> None:
    """Ask the database again (its tables were emptied)."""
    _known.clear()
