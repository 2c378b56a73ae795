"""`manage.py credentials export|import|fill-in`: set-up from one environment to another, and the secrets it lacks."""

import getpass
import json
import os
import sys
from argparse import ArgumentParser
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from django.core.management.base import BaseCommand, CommandError
from django.db import transaction
from django.views.decorators.debug import sensitive_variables

from credentials import actions, manifest, provider_actions
from credentials.errors import CredentialError
from credentials.manifest import MissingSecret
from credentials.models import IdentityProvider, Principal
from isthmus.access.errors import GrantRefused
from isthmus.audit import actions as audit
from isthmus.vault.errors import VaultError

_LARGEST_FILE = 10_000_000


class Command(BaseCommand):
    """Exports a manifest without secrets, applies one, asks for the secrets that are missing."""

    help = (
        "export: write the set-up down, without secrets. import: show what a manifest would change, and with --apply "
        "do it. fill-in: ask for every secret that is missing; status 1 while one still is."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        commands = parser.add_subparsers(dest="what", required=True)
        export = commands.add_parser("export", help="Write the set-up to standard output.")
        export.add_argument("--name", action="append", default=[], help="A named credential; repeat it for several.")
        export.add_argument("--format", choices=["yaml", "json"], default="yaml")
        bring = commands.add_parser("import", help="Compare a manifest with what is here.")
        bring.add_argument("path", type=Path)
        bring.add_argument("--apply", action="store_true", help="Do it.")
        bring.add_argument("--json", action="store_true", dest="as_json")
        fill = commands.add_parser("fill-in", help="Enter what is missing.")
        fill.add_argument(
            "--from-env",
            action="store_true",
            help="Take each from ISTHMUS_SECRET_<NAME>_<SECRET>, dots as underscores, in capitals.",
        )
        fill.add_argument("--from-file", type=Path, help='JSON: {"Acme_OAuth.Main": {"client_secret": …}}.')
        fill.add_argument("--list", action="store_true", dest="only_list", help="Only say what is missing.")
        fill.add_argument("--json", action="store_true", dest="as_json")

    def handle(self, *, what: str, **options: Any) -> None:
        try:
            {"export": self._export, "import": self._import, "fill-in": self._fill_in}[what](options)
        except (CredentialError, GrantRefused, VaultError) as error:
            raise CommandError(error.message) from error

    def _export(self, options: dict[str, Any]) -> None:
        found = manifest.export(options["name"])
        audit.record("credentials.manifest_exported", details={"names": options["name"]})
        if options["format"] == "json":
            self.stdout.write(json.dumps(found, indent=2))
        else:
            self.stdout.write(yaml.safe_dump(found, sort_keys=False, allow_unicode=True), ending="")

    def _import(self, options: dict[str, Any]) -> None:
        given = _read(options["path"])
        done = manifest.apply(given) if options["apply"] else manifest.compare(given)
        for each in done:
            facts = {"kind": each.kind, "name": each.name, "change": each.change, "fields": list(each.fields)}
            fields = f" ({', '.join(each.fields)})" if each.fields else ""
            self.stdout.write(
                json.dumps(facts) if options["as_json"] else f"{each.change:<7} {each.kind} {each.name}{fields}"
            )
        if not options["as_json"]:
            word = "changed" if options["apply"] else "would change; --apply does it"
            self.stdout.write(f"{len(done)} {word}." if done else "Everything is as the manifest says.")

    @sensitive_variables()
    def _fill_in(self, options: dict[str, Any]) -> None:
        missing = manifest.missing_secrets()
        if not options["only_list"]:
            given = _read(options["from_file"]) if options["from_file"] else {}
            for each in missing:
                value = self._value(each, options, given)
                if value:
                    _enter(each, value)
            missing = manifest.missing_secrets()
        for each in missing:
            facts = {"kind": each.kind, "name": each.name, "secret": each.secret}
            self.stdout.write(json.dumps(facts) if options["as_json"] else f"missing: {_told(each)}")
        if missing:
            raise CommandError(f"{len(missing)} still missing.")
        if not options["as_json"]:
            self.stdout.write("Nothing is missing.")

    @sensitive_variables()
    def _value(self, missing: MissingSecret, options: dict[str, Any], given: Mapping[str, Any]) -> str:
        if not missing.secret:
            return ""
        if options["from_env"]:
            return os.environ.get(f"ISTHMUS_SECRET_{missing.name}_{missing.secret}".replace(".", "_").upper(), "")
        if options["from_file"]:
            return str((given.get(missing.name) or {}).get(missing.secret) or "")
        if not sys.stdin.isatty():
            return ""
        return getpass.getpass(f"{_told(missing)} (empty: later): ")


@sensitive_variables()
def _enter(missing: MissingSecret, value: str) -> None:
    if missing.kind == "identity_provider":
        with transaction.atomic():
            provider = IdentityProvider.objects.select_for_update().get(name=missing.name)
            provider_actions.save_identity_provider(provider, client_secret=value)
        return
    external, _, name = missing.name.partition(".")
    actions.replace_secret(Principal.objects.get(external_credential__name=external, name=name), missing.secret, value)


def _told(missing: MissingSecret) -> str:
    kinds = {
        "principal": f"{missing.secret} of the principal {missing.name}",
        "identity_provider": f"client secret of the identity provider {missing.name}",
        "certificate": f"the certificate {missing.name}: make or import it under Set-up, Certificates",
        "connection": f"the consent for {missing.name}: connect it under Set-up, Principals",
    }
    return kinds[missing.kind]


@sensitive_variables()
def _read(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > _LARGEST_FILE:
            raise CommandError(f"{path} is larger than {_LARGEST_FILE:,} bytes.")
        found = yaml.safe_load(path.read_text())
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(f"{path} cannot be read ({type(error).__name__}).") from error
    except yaml.YAMLError as error:
        # The text of the error quotes the file, which may hold secrets.
        mark = getattr(error, "problem_mark", None)
        raise CommandError(f"{path} is neither YAML nor JSON{f', line {mark.line + 1}' if mark else ''}.") from None
    if not isinstance(found, dict):
        raise CommandError(f"{path} holds no mapping.")
    return found
