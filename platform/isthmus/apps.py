"""The ground floor as a Django app: settings checks and the commands that start the platform."""

from typing import Any

from django.apps import AppConfig
from django.core import checks
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created
from django.utils.module_loading import autodiscover_modules

from isthmus.conf import InvalidOption, declared_options

DOCS = "https://github.com/isthmus-platform/isthmus/blob/main/docs/reference/settings.md"


class IsthmusConfig(AppConfig):
    name = "isthmus"
    label = "isthmus"
    verbose_name = "Isthmus"

    def ready(self) -> None:
        # Options that nobody has imported yet would escape the checks.
        autodiscover_modules("conf")
        checks.register(check_options)
        connection_created.connect(compile_nothing, dispatch_uid="isthmus.compile_nothing")


def compile_nothing(connection: BaseDatabaseWrapper, **_: Any) -> None:
    """Keep PostgreSQL from compiling statements: ours are short, and compiling one takes longer than any may run.

    A statement, not a parameter of the connection, which poolers refuse.
    """
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SET jit = off")


def check_options(**_: object) -> list[checks.CheckMessage]:
    """Report every declared option whose value cannot be used."""
    found: list[checks.CheckMessage] = []
    for declared in declared_options():
        try:
            declared.read()
        except InvalidOption as error:
            found.append(
                checks.Error(str(error), hint=f"{declared.help_text} See {DOCS}", obj=declared.name, id="isthmus.E001")
            )
    return found
