"""Plain django-q2 on the database of `PEER_*`, with two workers. `migrate` or `qcluster` as the argument."""

import os
import sys
from pathlib import Path
from time import time

from django.conf import settings

NAME, HOST, PORT, USER = (os.environ[f"PEER_{part}"] for part in ("NAME", "HOST", "PORT", "USER"))

# The cluster imports this module a second time, for its functions.
if not settings.configured:
    settings.configure(
        SECRET_KEY="peer",
        INSTALLED_APPS=["django.contrib.contenttypes", "django_q"],
        DATABASES={
            "default": {
                "ENGINE": "django.db.backends.postgresql",
                "NAME": NAME,
                "HOST": HOST,
                "PORT": PORT,
                "USER": USER,
                "CONN_MAX_AGE": None,
            }
        },
        Q_CLUSTER={"name": "peer", "workers": 2, "orm": "default", "timeout": 60, "retry": 120},
        LOGGING={"version": 1, "disable_existing_loggers": True},
        USE_TZ=True,
    )


def nothing() -> None:
    """Do nothing."""


def note_delay(sent_at: float, file: str) -> None:
    """Append the seconds since it was enqueued to a file."""
    delay = time() - sent_at
    with Path(file).open("a") as notes:
        notes.write(f"{delay}\n")


if __name__ == "__main__":
    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)
