"""`manage.py listing [NAME] [--FILTER VALUE…] [--json|--csv] [--limit N]`: the console's lists on the command line."""

import json
from argparse import ArgumentParser
from collections.abc import Iterator
from itertools import islice
from typing import Any

from django.contrib.auth.models import User
from django.core.management.base import BaseCommand, CommandError

from isthmus.console.errors import ConsoleError
from isthmus.console.listings import Listing, PersonalListing, csv_lines, find_listing, listings
from isthmus.console.paging import PAGE_SIZE

_PREFIX = "filter_"
_WIDEST = 48


class Command(BaseCommand):
    """Prints a list, as its page shows it."""

    help = (
        "Print a list of the console: as a table, as JSON (a line for each row) or as CSV. "
        "Without a name: which lists there are."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        names = parser.add_subparsers(dest="name", metavar="NAME")
        for listing in listings():
            lines = names.add_parser(listing.name, help=listing.label)
            if isinstance(listing, PersonalListing):
                lines.add_argument("--user", required=True, help="Name of the user whose list it is.")
            forms = lines.add_mutually_exclusive_group()
            forms.add_argument("--json", action="store_true", dest="as_json", help="One JSON object a line.")
            forms.add_argument("--csv", action="store_true", dest="as_csv", help="As the page exports it.")
            lines.add_argument(
                "--limit",
                type=int,
                help=f"The most rows. Without it a table ends after {PAGE_SIZE}, JSON and CSV have all.",
            )
            for name, field in listing.filters.base_fields.items():
                lines.add_argument(f"--{name}", dest=f"{_PREFIX}{name}", metavar="VALUE", help=str(field.label or name))

    def handle(self, *args: Any, **options: Any) -> None:
        if options["name"] is None:
            for listing in listings():
                self.stdout.write(f"{listing.name:<20} {listing.label}")
            return
        listing = find_listing(options["name"])
        if isinstance(listing, PersonalListing):
            listing = listing.of(_user(options["user"]))
        given = {
            key.removeprefix(_PREFIX): value
            for key, value in options.items()
            if key.startswith(_PREFIX) and value is not None
        }
        limit = options["limit"]
        if limit is not None and limit < 1:
            raise CommandError("--limit is at least 1.")
        try:
            rows = listing.every(listing.strict_form(given))
        except ConsoleError as refused:
            raise CommandError(f"{refused.code}: {refused.message}") from refused
        if options["as_json"]:
            for row in islice(rows, limit):
                self.stdout.write(json.dumps(listing.as_dict(row)))
        elif options["as_csv"]:
            self._write_csv(listing, islice(rows, limit))
        else:
            self._write_table(listing, rows, limit or PAGE_SIZE)

    def _write_csv(self, listing: Listing[Any], rows: Iterator[Any]) -> None:
        self.stdout.write(csv_lines(listing, (), with_heading=True), ending="")
        for row in rows:
            self.stdout.write(csv_lines(listing, [row], with_heading=False), ending="")

    def _write_table(self, listing: Listing[Any], rows: Iterator[Any], limit: int) -> None:
        shown = [[_short(value) for value in listing.as_dict(row).values()] for row in islice(rows, limit)]
        lines = [[column.label for column in listing.columns], *shown]
        widths = [max(map(len, cells)) for cells in zip(*lines, strict=True)]
        for line in lines:
            self.stdout.write("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())
        if next(rows, None) is not None:
            self.stderr.write(f"There are more than {limit}; --limit shows more.")


def _user(name: str) -> User:
    found = User.objects.filter(username=name).first()
    if found is None:
        raise CommandError(f"There is no user {name!r}.")
    return found


def _short(value: object) -> str:
    """Return a value on one line, without what steers a terminal."""
    text = "" if value is None else str(value)
    text = "".join(sign if sign.isprintable() else " " for sign in text)
    return text if len(text) <= _WIDEST else f"{text[: _WIDEST - 1]}…"
