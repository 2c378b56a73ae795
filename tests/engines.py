"""Which engines this machine has. Absent ones are named, never silently left out."""

import os
import shutil
from functools import cache

__all__ = ["chromium_path", "postgres_url"]


@cache
def postgres_url() -> str:
    """Return the address of a PostgreSQL server that tests may use, or "" when none answers.

    `ISTHMUS_TEST_POSTGRES_URL` names one; otherwise the usual local addresses are tried.
    """
    import psycopg

    given = os.environ.get("ISTHMUS_TEST_POSTGRES_URL")
    tried = (
        [given]
        if given
        else ["postgres://postgres@127.0.0.1:5432/postgres", "postgres://postgres:postgres@127.0.0.1:5432/postgres"]
    )
    for url in tried:
        try:
            psycopg.connect(url, connect_timeout=2).close()
        except psycopg.OperationalError:
            continue
        return url
    return ""


@cache
def chromium_path() -> str:
    """Return the path of a Chromium that tests may drive, or ""."""
    return shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome") or ""
