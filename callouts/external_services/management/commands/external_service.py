"""`manage.py external_service register|check|list|show|activate|diff|connect|client|mock`."""

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser

from callouts.external_services.actions import activate, connect
from callouts.external_services.actions.register import RegistrationReport, register
from callouts.external_services.conf import options
from callouts.external_services.description.analysis import analyse
from callouts.external_services.description.differences import OperationDifference
from callouts.external_services.description.problems import Problem
from callouts.external_services.document.bundling import DocumentSet, Folder, bundled
from callouts.external_services.document.collection import collection_paused
from callouts.external_services.document.fetching import fetch, fetched_set
from callouts.external_services.document.limits import DocumentLimits
from callouts.external_services.document.reading import read
from callouts.external_services.errors import DocumentRefused, DocumentTooLarge
from callouts.external_services.mock.serving import serve
from callouts.external_services.models import ExternalService, ExternalServiceVersion
from callouts.external_services.typed_client import module_for
from callouts.external_services.version_comparison import changes_between
from credentials.models import NamedCredential
from isthmus.errors import IsthmusError

_SUFFIXES = {".json", ".yaml", ".yml"}


class Command(BaseCommand):
    """External services from the command line."""

    help = "Register the OpenAPI documents of external services, compare and switch versions, make clients and doubles."

    def add_arguments(self, parser: CommandParser) -> None:
        commands = parser.add_subparsers(dest="command", required=True, parser_class=argparse.ArgumentParser)
        self._add_registering(commands)
        checking = commands.add_parser("check", help="read documents; nothing is stored")
        checking.add_argument("paths", nargs="+", type=Path, metavar="PATH", help="files, or folders to search")
        checking.add_argument("--json", action="store_true", help="print one JSON line for each document")
        listing = commands.add_parser("list", help="show the services")
        listing.add_argument("--json", action="store_true")
        showing = _about_one(commands, "show", "show the operations and versions of a service")
        showing.add_argument("--json", action="store_true")
        switching = _about_one(commands, "activate", "switch to a version, also back to an earlier one")
        switching.add_argument("version", type=int)
        comparing = _about_one(commands, "diff", "show what differs between two versions")
        comparing.add_argument("old", type=int, nargs="?", help="the active one, if not given")
        comparing.add_argument("new", type=int, nargs="?", help="the newest one, if not given")
        comparing.add_argument("--json", action="store_true")
        connecting = _about_one(commands, "connect", "make the credentials that the document asks for, all but secrets")
        connecting.add_argument("--scheme", default="", help="the security scheme, by the document's name for it")
        connecting.add_argument(
            "--url", default="", help="where the service is; the document's first server if not given"
        )
        writing = _about_one(commands, "client", "print a typed Python client")
        writing.add_argument("--version", type=int, help="of the document; the active one if not given", dest="number")
        mocking = _about_one(commands, "mock", "serve a double of the service on this machine")
        mocking.add_argument("--port", type=int, default=0, help="a free one if not given")

    @staticmethod
    def _add_registering(commands: Any) -> None:
        registering = _about_one(commands, "register", "register a document under a name")
        registering.add_argument(
            "--document",
            required=True,
            help="a file, - for standard input, an address, or callout:NamedCredential/path",
        )
        registering.add_argument("--named-credential", help="API name of the named credential that reaches the service")
        registering.add_argument("--label")
        registering.add_argument(
            "--server-path",
            help="what stands before every path, such as /v2; the document's server says it if not given",
        )
        registering.add_argument(
            "--folder",
            type=Path,
            help="where a document that is a file may refer to others; its own folder if not given",
        )
        registering.add_argument(
            "--activate",
            choices=["unless-breaking", "always", "never"],
            default="unless-breaking",
            help="when a new version takes over (unless it breaks calls)",
        )
        registering.add_argument("--json", action="store_true", help="print the report as JSON")

    def handle(self, *_args: Any, **chosen: Any) -> None:
        command = chosen["command"]
        try:
            getattr(self, f"_{command}")(chosen)
        except ValidationError as error:
            raise CommandError("; ".join(error.messages)) from error
        except ExternalService.DoesNotExist as error:
            raise CommandError(f"There is no external service {chosen['name']!r}.") from error
        except IsthmusError as error:
            if chosen.get("json"):
                self.stdout.write(json.dumps({"error": {"code": error.code, "message": error.message}}))
            raise CommandError(f"{error.code}: {error.message}") from error

    def _register(self, chosen: dict[str, Any]) -> None:
        wanted = chosen["named_credential"]
        try:
            named_credential = NamedCredential.objects.get(name=wanted) if wanted else None
        except NamedCredential.DoesNotExist as error:
            raise CommandError(f"There is no named credential {wanted!r}.") from error
        document, documents = _document(chosen["document"], named_credential, chosen["folder"])
        report = register(
            chosen["name"],
            document,
            documents=documents,
            named_credential=named_credential,
            label=chosen["label"],
            server_path=chosen["server_path"],
            activation=chosen["activate"].replace("-", "_"),
        )
        if chosen["json"]:
            self.stdout.write(json.dumps(report.as_json()))
        else:
            self._show_report(report)

    def _show_report(self, report: RegistrationReport) -> None:
        news = "registered" if report.is_changed else "unchanged"
        waits = "" if report.is_active else ", not active: it would break calls, or was not to be activated"
        self.stdout.write(f"{report.service} version {report.version} ({report.openapi_version}): {news}{waits}")
        for operation in report.operations:
            callbacks = f"  answers by {', '.join(operation.callbacks)}" if operation.callbacks else ""
            self.stdout.write(f"  {operation.name}  {operation.method} {operation.path}{callbacks}")
        self._show_problems("cannot be called", report.skipped)
        self._show_problems("problems", report.problems)
        self._show_changes(report.changes)
        for name, uses in report.uses.items():
            for use in uses:
                self.stdout.write(f"  {name} is used: {use.where} ({use.count})")
        for proposal in report.proposals:
            what = proposal.protocol or f"nothing: {proposal.note}"
            self.stdout.write(f"security scheme {proposal.scheme}: {what}")
        if not report.is_active:
            self.stdout.write(f"switch with: manage.py external_service activate {report.service} {report.version}")

    def _show_problems(self, heading: str, problems: tuple[Problem, ...]) -> None:
        if problems:
            self.stdout.write(f"{heading}:")
        for problem in problems:
            place = f"{problem.pointer or '/'}{f' (line {problem.line})' if problem.line else ''}"
            self.stdout.write(f"  {problem.operation or 'document'}: {place}: {problem.reason}")

    def _show_changes(self, changes: Any) -> None:
        for change in changes:
            breaks = " (breaking)" if change.is_breaking else ""
            self.stdout.write(f"{change.kind}: {change.name}{breaks}")
            for difference in change.differences:
                mark = "!" if difference.is_breaking else " "
                self.stdout.write(f"  {mark} {difference.where}: {difference.what}")

    def _check(self, chosen: dict[str, Any]) -> None:
        unreadable = 0
        for path, folder in _documents(chosen["paths"]):
            line = _checked(path, folder)
            unreadable += line["error"] is not None
            if chosen["json"]:
                self.stdout.write(json.dumps(line))
            else:
                told = line["error"] or f"{line['callable']} of {line['operations']} operations can be called"
                self.stdout.write(f"{path}: {told}")
                for skipped in line["skipped"]:
                    place = f"{skipped['pointer']} (line {skipped['line']})"
                    self.stdout.write(f"  {skipped['operation']}: {place}: {skipped['reason']}")
        if unreadable:
            raise CommandError(f"{unreadable} of the documents cannot be registered.")

    def _list(self, chosen: dict[str, Any]) -> None:
        for service in ExternalService.objects.select_related("active_version", "named_credential"):
            version = service.active_version
            line = {
                "name": service.name,
                "label": service.label,
                "version": version.number if version else None,
                "openapi": version.openapi_version if version else None,
                "operations": version.operations.count() if version else 0,
                "namedCredential": service.named_credential.name if service.named_credential else None,
            }
            if chosen["json"]:
                self.stdout.write(json.dumps(line))
            else:
                at = line["namedCredential"] or "not connected"
                self.stdout.write(f"{service.name}  version {line['version']}  {line['operations']} operations  {at}")

    def _show(self, chosen: dict[str, Any]) -> None:
        service = ExternalService.objects.get(name=chosen["name"])
        versions = list(service.versions.order_by("number").defer("page_starts", "anchors", "problems", "changes"))
        operations = service.active_version.operations.order_by("name") if service.active_version else ()
        if chosen["json"]:
            report = {
                "name": service.name,
                "activeVersion": service.active_version.number if service.active_version else None,
                "versions": [{"number": one.number, "digest": one.digest} for one in versions],
                "operations": [
                    {"name": one.name, "method": one.method, "path": one.path, "asynchronous": one.is_asynchronous}
                    for one in operations
                ],
            }
            self.stdout.write(json.dumps(report))
            return
        for version in versions:
            mark = "*" if version.pk == service.active_version_id else " "
            self.stdout.write(
                f"{mark} version {version.number}  {version.digest[:12]}  {version.registered_at:%Y-%m-%d}"
            )
        for operation in operations:
            self.stdout.write(f"  {operation.name}  {operation.method} {operation.path}")

    def _activate(self, chosen: dict[str, Any]) -> None:
        version = activate(ExternalService.objects.get(name=chosen["name"]), chosen["version"])
        self.stdout.write(f"{version} is active.")

    def _diff(self, chosen: dict[str, Any]) -> None:
        service = ExternalService.objects.get(name=chosen["name"])
        newest = service.versions.order_by("-number").first()
        old = _version(service, chosen["old"]) if chosen["old"] else service.active_version
        new = _version(service, chosen["new"]) if chosen["new"] else newest
        if old is None or new is None:
            raise CommandError(f"{service.name} has no versions to compare.")
        found: list[OperationDifference] = changes_between(old, new)
        if chosen["json"]:
            self.stdout.write(json.dumps([change.as_json() for change in found]))
        else:
            self.stdout.write(f"From version {old.number} to {new.number}:")
            self._show_changes(found)

    def _connect(self, chosen: dict[str, Any]) -> None:
        service = ExternalService.objects.get(name=chosen["name"])
        made = connect(service, scheme=chosen["scheme"], url=chosen["url"])
        self.stdout.write(f"{service.name} is reached through the named credential {made.named_credential.name}.")
        if made.secrets:
            self.stdout.write(f"Still to be entered in Set-up, Principals: {', '.join(made.secrets)}.")
        if made.note:
            self.stdout.write(f"Note: {made.note}.")

    def _client(self, chosen: dict[str, Any]) -> None:
        service = ExternalService.objects.get(name=chosen["name"])
        version = _version(service, chosen["number"]) if chosen["number"] else service.active_version
        if version is None:
            raise CommandError(f"{service.name} has no active version.")
        self.stdout.write(module_for(version), ending="")

    def _mock(self, chosen: dict[str, Any]) -> None:
        service = ExternalService.objects.get(name=chosen["name"])
        serve(service, port=chosen["port"], tell=self.stdout.write)


def _about_one(commands: Any, name: str, text: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(name, help=text)
    parser.add_argument("name", help="API name of the service, such as AcmeMortgages")
    return parser


def _version(service: ExternalService, number: int) -> ExternalServiceVersion:
    found = service.versions.filter(number=number).first()
    if found is None:
        raise CommandError(f"{service.name} has no version {number}.")
    return found


def _document(
    source: str, named_credential: NamedCredential | None, folder: Path | None
) -> tuple[bytes, DocumentSet | None]:
    """Return a document from a file or an address, and the set that it may refer to."""
    if source == "-":
        return sys.stdin.buffer.read(options.document_max_bytes + 1), None
    if source.startswith("callout:"):
        return fetch(source), fetched_set(source)
    if source.startswith(("http://", "https://")):
        return fetch(source, named_credential=named_credential), None
    path = Path(source)
    root = folder or path.parent
    try:
        content = _bytes_of(path)
    except OSError as error:
        raise CommandError(f"{source} cannot be read: {error.strerror}.") from error
    return content, _folder(path, root)


def _folder(path: Path, root: Path) -> Folder:
    try:
        name = path.resolve().relative_to(root.resolve())
    except ValueError as error:
        raise CommandError(f"{path} is not in {root}.") from error
    return Folder(root, name.as_posix())


def _bytes_of(path: Path) -> bytes:
    size = path.stat().st_size
    if size > options.document_max_bytes:
        raise DocumentTooLarge(f"The document has {size} bytes; at most {options.document_max_bytes} are read.")
    return path.read_bytes()


def _documents(paths: list[Path]) -> Iterator[tuple[Path, Path]]:
    """Yield files, and the folders that they may refer into."""
    for path in paths:
        if path.is_dir():
            found = (one for one in sorted(path.rglob("*")) if one.suffix in _SUFFIXES and one.is_file())
            yield from ((one, path) for one in found)
        else:
            yield path, path.parent


def _checked(path: Path, folder: Path) -> dict[str, Any]:
    """Return what is known of a document; `error` is `None` where it can be registered at least in part."""
    limits = DocumentLimits()
    line: dict[str, Any] = {"file": str(path), "version": None, "operations": 0, "callable": 0, "skipped": []}
    error = None
    try:
        with collection_paused():
            document = bundled(read(_bytes_of(path), limits=limits), _folder(path, folder), limits)
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
