"""After a migration, and after tracking was switched: the tables show what there is."""

from typing import Any

from django.db import connections

from events import calling, made_definitions, publishers, schemas, topics, usage
from events.actions import synchronise
from events.models import EventDefinition

__all__ = ["follow_tracking", "forget", "synchronise_tables"]


def synchronise_tables(*, using: str, **_: Any) -> None:
    """Receive `post_migrate`, which Django also sends after it emptied the tables (`flush`)."""
    forget()
    if using == "default" and EventDefinition._meta.db_table in connections[using].introspection.table_names():
        synchronise()


def forget() -> None:
    """Let this process ask the database again for everything that it remembers of it: the tables were emptied."""
    for module in (calling, made_definitions, publishers, schemas, topics, usage):
        module.forget()


def follow_tracking(**_: Any) -> None:
    """Receive `tracking_switched`: an object whose changes are captured has a topic."""
    synchronise()
