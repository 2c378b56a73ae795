"""`manage.py rest_resource list|document|fuzz`: the custom endpoints, their documents, and whether they are safe."""

import json
import logging
import sys
from pathlib import Path
from typing import Any

from django.contrib.auth.models import User
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connection, connections

from apexrest import registry
from apexrest.documentation.documents import document_of, versions
from apexrest.fuzzing import Finding, Verdict, fuzz, keep
from apexrest.registry import Resource


class Command(BaseCommand):
    help = "List custom endpoints, print an OpenAPI document, or find out whether they may be called twice."

    def add_arguments(self, parser: CommandParser) -> None:
        acts = parser.add_subparsers(dest="act", required=True)
        listed = acts.add_parser("list", help="List every endpoint.")
        listed.add_argument("--json", action="store_true", help="Print JSON.")
        document = acts.add_parser("document", help="Print the OpenAPI document of a version.")
        document.add_argument("version", help="Such as v1; `unversioned` for mappings without one.")
        fuzzed = acts.add_parser(
            "fuzz", help="Call every endpoint twice, at once and with a kill in the middle, on a database of its own."
        )
        fuzzed.add_argument("mapping", nargs="?", default="", help="Only this URL mapping.")
        fuzzed.add_argument("--json", action="store_true", help="Print a JSON line for each endpoint.")
        fuzzed.add_argument("--no-keep", action="store_true", help="Do not store the verdicts for the API pages.")

    def handle(self, *args: Any, **given: Any) -> None:
        if given["act"] == "list":
            self._list(as_json=given["json"])
        elif given["act"] == "document":
            found = document_of(given["version"])
            if found is None:
                raise CommandError(f"There is no version {given['version']!r}; there are: {', '.join(versions())}.")
            self.stdout.write(json.dumps(found, indent=2))
        else:
            self._fuzz(given["mapping"], as_json=given["json"], is_kept=not given["no_keep"])

    def _list(self, *, as_json: bool) -> None:
        for resource in registry.all_resources():
            told = _as_dict(resource)
            methods = ", ".join(resource.http_methods)
            self.stdout.write(json.dumps(told) if as_json else f"{methods:24} {resource.mapping:40} {resource.name}")

    def _fuzz(self, mapping: str, *, as_json: bool, is_kept: bool) -> None:
        if mapping and mapping not in {resource.mapping for resource in registry.all_resources()}:
            raise CommandError(f"There is no URL mapping {mapping!r}; `rest_resource list` shows them.")
        findings: list[Finding] = []
        for finding in _on_a_database_of_its_own(mapping):
            findings.append(finding)
            line = f"{finding.verdict:14} {finding.http_method:6} {finding.mapping:40} {finding.detail}"
            self.stdout.write(json.dumps(vars(finding)) if as_json else line)
        if is_kept:
            for finding in findings:
                keep(finding)
        if any(finding.verdict == Verdict.UNSAFE for finding in findings):
            sys.exit(1)


def _on_a_database_of_its_own(mapping: str) -> list[Finding]:
    """Fuzz in a database that is made for it and thrown away."""
    real = connection.settings_dict["NAME"]
    # Beside the tests' own, which may run at the same time.
    tested = connection.settings_dict["TEST"]
    usual, tested["NAME"] = tested["NAME"], _beside(tested["NAME"])
    # A thousand calls of a trial are not what whoever waits for the verdicts wants to read.
    logging.disable(logging.ERROR)
    connection.creation.create_test_db(verbosity=0, autoclobber=True, serialize=False)
    try:
        user = User.objects.create_superuser("fuzzer")
        return list(fuzz(user, only=mapping))
    finally:
        connections.close_all()
        connection.creation.destroy_test_db(real, verbosity=0)
        tested["NAME"] = usual
        logging.disable(logging.NOTSET)


def _beside(name: str) -> str:
    """Return the name of the tests' database with a mark: the name of a file on SQLite."""
    path = Path(name)
    return str(path.with_name(f"{path.stem}_fuzzing{path.suffix}"))


def _as_dict(resource: Resource) -> dict[str, Any]:
    return {
        "mapping": resource.mapping,
        "version": resource.version,
        "methods": resource.http_methods,
        "class": resource.name,
        "with_sharing": resource.with_sharing,
        "deprecated": str(resource.deprecated) if resource.deprecated else None,
        "sunset": str(resource.sunset) if resource.sunset else None,
        "webhook": resource.webhook.scheme if resource.webhook else None,
    }
