"""The ground floor as a Django app: settings checks and the commands that start the platform."""

from django.apps import AppConfig
from django.core import checks
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
