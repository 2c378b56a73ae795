"""The organisation that clients read (`SELECT Name FROM Organization`): one row, kept in step with the settings.

`manage.py migrate` fills it, and a check tells when the settings have changed since. Its id is not stored: it is the
one that tokens and logins name.
"""

from typing import Any
from urllib.parse import urlsplit

from django.apps import apps
from django.conf import settings
from django.db import connections, models

from isthmus.objects.conf import options

__all__ = ["DATABASE", "bring_into_step", "is_in_step"]

DATABASE = "default"
_ONLY = 1


def bring_into_step() -> None:
    """Write the row as the settings have it, if there is a table (an older state of the schema has none)."""
    if _has_table():
        _rows().update_or_create(pk=_ONLY, defaults=_values())


def is_in_step() -> bool:
    """Return whether the row is as the settings have it; where there is no table yet, nothing is out of step."""
    wanted = _values()
    return not _has_table() or _rows().filter(pk=_ONLY).values(*wanted).first() == wanted


def _values() -> dict[str, Any]:
    host = urlsplit(settings.BASE_URL).hostname or ""
    label = host.partition(".")[0]
    # An address has no name in front.
    instance_name = host if label.isdecimal() or ":" in host else label
    return {"name": options.organization_name[:80], "instance_name": instance_name[:40].upper()}


def _has_table() -> bool:
    connection = connections[DATABASE]
    with connection.cursor() as cursor:
        return _rows().model._meta.db_table in connection.introspection.table_names(cursor)


def _rows() -> models.QuerySet[Any]:
    return apps.get_model("objects", "Organization")._base_manager.using(DATABASE)
