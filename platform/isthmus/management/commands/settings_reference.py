"""`manage.py settings_reference`: every declared option as Markdown, the second half of docs/reference/settings.md."""

from itertools import groupby
from typing import Any

from django.core.management.base import BaseCommand

from isthmus.conf import Option, declared_options


class Command(BaseCommand):
    help = "Print the reference of all declared options as Markdown."

    def handle(self, *_: Any, **__: Any) -> None:
        self.stdout.write(reference())


def reference() -> str:
    """Return one table for each app's options, in the order of their names."""
    ours = [option for option in declared_options() if option.owner_module.split(".")[0] != "tests"]
    parts = []
    for prefix, options in groupby(sorted(ours, key=lambda option: (option.prefix, option.name)), lambda o: o.prefix):
        rows = "\n".join(_row(option) for option in options)
        parts.append(f"## `{prefix}…`\n\n| variable | default | what |\n| --- | --- | --- |\n{rows}\n")
    return "\n".join(parts)


def _row(option: Option[Any]) -> str:
    default = "(empty)" if option.default == "" else f"`{option.default}`"
    return f"| `{option.name}` | {default} | {option.help_text} |"
