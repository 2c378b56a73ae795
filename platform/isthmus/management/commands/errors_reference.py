"""`manage.py errors_reference`: every named error as Markdown, the second half of docs/reference/errors.md."""

from collections.abc import Iterator
from typing import Any

from django.core.management.base import BaseCommand
from django.utils.module_loading import autodiscover_modules

from isthmus.errors import IsthmusError

_NOT_OURS = {"tests", "examples"}


class Command(BaseCommand):
    help = "Print the reference of all named errors as Markdown."

    def handle(self, *_: Any, **__: Any) -> None:
        self.stdout.write(reference())


def reference() -> str:
    """Return one table for each module that names errors, in the order of their names."""
    autodiscover_modules("errors")
    modules: dict[str, list[type[IsthmusError]]] = {}
    for error in sorted(set(_below(IsthmusError)), key=lambda found: (found.__module__, found.__name__)):
        if error.__module__.split(".")[0] not in _NOT_OURS and error.__module__.endswith(".errors"):
            modules.setdefault(error.__module__, []).append(error)
    return "\n".join(
        f"## `{module}`\n\n| error | code | status | retry | what |\n| --- | --- | --- | --- | --- |\n"
        + "".join(_row(error) for error in errors)
        for module, errors in modules.items()
    )


def _below(error: type[IsthmusError]) -> Iterator[type[IsthmusError]]:
    for child in error.__subclasses__():
        yield child
        yield from _below(child)


def _row(error: type[IsthmusError]) -> str:
    what = " ".join((error.__doc__ or "").split("\n\n")[0].split())
    return f"| `{error.__name__}` | `{error.code}` | {error.status} | {'yes' if error.retryable else 'no'} | {what} |\n"
