"""`manage.py external_service register|check`: documents of external services."""

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser

from callouts.external_services.actions.register import RegistrationReport, register
from callouts.external_services.analysis import Problem, analyse
from callouts.external_services.conf import options
from callouts.external_services.documents import read
from callouts.external_services.errors import DocumentRefused, DocumentTooLarge
from callouts.external_services.fetching import fetch
from callouts.external_services.limits import DocumentLimits
from credentials.models import NamedCredential
from isthmus.errors import IsthmusError

_SUFFIXES = {".json", ".yaml", ".yml"}


class Command(BaseCommand):
    """Registers or checks OpenAPI documents."""

    help = "Register the OpenAPI document of an external service, or check documents without registering them."

    def add_arguments(self, parser: CommandParser) -> None:
        commands = parser.add_subparsers(dest="command", required=True, parser_class=argparse.ArgumentParser)
        registering = commands.add_parser("register", help="register a document under a name")
        registering.add_argument("name", help="API name of the service, such as AcmeMortgages")
        registering.add_argument(
            "--document", required=True, help="a file, an address, or callout:NamedCredential/path"
        )
        registering.add_argument("--named-credential", help="API name of the named credential that reaches the service")
        registering.add_argument("--label")
        registering.add_argument("--json", action="store_true", help="print the report as JSON")
        checking = commands.add_parser("check", help="read documents; nothing is stored")
        checking.add_argument("paths", nargs="+", type=Path, metavar="PATH", help="files, or folders to search")
        checking.add_argument("--json", action="store_true", help="print one JSON line for each document")

    def handle(self, *_args: Any, **chosen: Any) -> None:
        if chosen["command"] == "register":
            self._register(chosen)
        else:
            self._check(chosen)

    def _register(self, chosen: dict[str, Any]) -> None:
        wanted = chosen["named_credential"]
        try:
            named_credential = NamedCredential.objects.get(name=wanted) if wanted else None
            report = register(
                chosen["name"],
                _document(chosen["document"], named_credential),
                named_credential=named_credential,
                label=chosen["label"],
            )
        except NamedCredential.DoesNotExist as error:
            raise CommandError(f"There is no named credential {wanted!r}.") from error
        except ValidationError as error:
            raise CommandError("; ".join(error.messages)) from error
        except IsthmusError as error:
            if chosen["json"]:
                self.stdout.write(json.dumps({"error": {"code": error.code, "message": error.message}}))
            raise CommandError(f"{error.code}: {error.message}") from error
        if chosen["json"]:
            self.stdout.write(json.dumps(report.as_json()))
        else:
            self._show(report)

    def _show(self, report: RegistrationReport) -> None:
        news = "registered" if report.is_changed else "unchanged"
        self.stdout.write(f"{report.service} version {report.version} ({report.openapi_version}): {news}")
        for operation in report.operations:
            callbacks = f"  answers by {', '.join(operation.callbacks)}" if operation.callbacks else ""
            self.stdout.write(f"  {operation.name}  {operation.method} {operation.path}{callbacks}")
        self._show_problems("cannot be called", report.skipped)
        self._show_problems("problems", report.problems)

    def _show_problems(self, heading: str, problems: tuple[Problem, ...]) -> None:
        if problems:
            self.stdout.write(f"{heading}:")
        for problem in problems:
            self.stdout.write(f"  {problem.operation or 'document'}: {problem.pointer or '/'}: {problem.reason}")

    def _check(self, chosen: dict[str, Any]) -> None:
        unreadable = 0
        for path in _documents(chosen["paths"]):
            line = _checked(path)
            unreadable += line["error"] is not None
            if chosen["json"]:
                self.stdout.write(json.dumps(line))
            else:
                told = line["error"] or f"{line['callable']} of {line['operations']} operations can be called"
                self.stdout.write(f"{path}: {told}")
                for skipped in line["skipped"]:
                    self.stdout.write(f"  {skipped['operation']}: {skipped['pointer']}: {skipped['reason']}")
        if unreadable:
            raise CommandError(f"{unreadable} of the documents cannot be registered.")


def _document(source: str, named_credential: NamedCredential | None) -> bytes:
    """Return a document from a file or an address."""
    if source.startswith(("callout:", "http://", "https://")):
        return fetch(source, named_credential=named_credential)
    try:
        return _bytes_of(Path(source))
    except OSError as error:
        raise CommandError(f"{source} cannot be read: {error.strerror}.") from error


def _bytes_of(path: Path) -> bytes:
    size = path.stat().st_size
    if size > options.document_max_bytes:
        raise DocumentTooLarge(f"The document has {size} bytes; at most {options.document_max_bytes} are read.")
    return path.read_bytes()


def _documents(paths: list[Path]) -> Iterator[Path]:
    for path in paths:
        if path.is_dir():
            yield from (found for found in sorted(path.rglob("*")) if found.suffix in _SUFFIXES and found.is_file())
        else:
            yield path


def _checked(path: Path) -> dict[str, Any]:
    """Return what is known of a document; `error` is `None` where it can be registered at least in part."""
    limits = DocumentLimits()
    line: dict[str, Any] = {"file": str(path), "version": None, "operations": 0, "callable": 0, "skipped": []}
    error = None
    try:
        document = read(_bytes_of(path), limits=limits)
        line["version"] = document.version
        analysis = analyse(document, limits)
        line["callable"] = len(analysis.operations)
        line["operations"] = len(analysis.operations) + len(analysis.skipped)
        line["skipped"] = [problem.as_json() for problem in analysis.skipped]
    except DocumentRefused as refused:
        error = f"{refused.code}: {refused.message}"
    except OSError as failed:
        error = f"the file cannot be read: {failed.strerror}"
    return {**line, "seconds": round(limits.seconds_used, 3), "error": error}
