"""After a migration: the tables show what the code declares."""

from typing import Any

from django.db import connections

from events import publishers, schemas, topics, usage
from events.actions import synchronise
from events.models import EventDefinition

__all__ = ["synchronise_tables"]


def synchronise_tables(*, using: str, **_: Any) -> None:
    """Receive `post_migrate`, which Django also sends after it emptied the tables (`flush`)."""
    schemas.forget()
    topics.forget()
    usage.forget()
    publishers.forget()
    if using == "default" and EventDefinition._meta.db_table in connections[using].introspection.table_names():
        synchronise()
