"""The probe of the one thing that everything stands on."""

from django.db import DatabaseError, connection

from isthmus import clock
from isthmus.health import Health

__all__ = ["ask_database", "turn_of_health"]

_HEALTH_SECONDS = 10


def ask_database() -> Health:
    """Ask the database for an answer."""
    began = clock.monotonic_seconds()
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError as error:
        return Health(ok=False, summary=f"The database does not answer ({type(error).__name__}). Check DATABASE_URL.")
    took_milliseconds = (clock.monotonic_seconds() - began) * 1000
    return Health(ok=True, summary=f"{_engine_name()} answers in {took_milliseconds:.0f} ms.")


def turn_of_health() -> int:
    """Return another number every few seconds: health has no rows whose change could be seen."""
    return int(clock.monotonic_seconds() // _HEALTH_SECONDS)


def _engine_name() -> str:
    return {"sqlite": "SQLite", "postgresql": "PostgreSQL"}.get(connection.vendor, connection.vendor)
