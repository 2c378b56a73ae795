"""Who uses an operation: code of the project, invocations that wait, calls of the last days.

Other apps add their own kinds of users with `register_use_finder`.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path

from django.apps import apps
from django.db.models import Count

from callouts.external_services.models import ExternalService, Invocation, Operation
from callouts.models import IntegrationLogEntry
from isthmus import clock

__all__ = ["Use", "UseFinder", "of_operations", "register_use_finder"]

_MOST_FILES = 5_000
_MOST_FILE_BYTES = 1_000_000
_MOST_LINES = 20
_DAYS = 30


@dataclass(frozen=True, kw_only=True)
class Use:
    """One user of an operation."""

    kind: str
    """`code`, `invocation`, `call`, or what another app adds."""
    operation: str
    """The operation's Python name."""
    where: str
    """A file and line, or what a page would show."""
    count: int = 1

    def as_json(self) -> dict[str, object]:
        return asdict(self)


UseFinder = Callable[[ExternalService, Sequence[str]], Iterable[Use]]
"""Returns the uses of a service's operations, given by their Python names."""

_finders: list[UseFinder] = []


def register_use_finder(finder: UseFinder) -> None:
    """Add a kind of users."""
    _finders.append(finder)


def of_operations(service: ExternalService, names: Sequence[str]) -> dict[str, list[Use]]:
    """Return the uses of operations, by their Python names."""
    found: dict[str, list[Use]] = {}
    for finder in (_in_code, _in_invocations, _in_log, *_finders):
        for use in finder(service, names):
            found.setdefault(use.operation, []).append(use)
    return found


def _in_code(service: ExternalService, names: Sequence[str]) -> Iterator[Use]:
    """Look where code of the project's apps names an operation in a file that names the service."""
    if not names:
        return
    by_id = dict(Operation.objects.filter(version__service=service, name__in=names).values_list("operation_id", "name"))
    wanted = re.compile(r"\b(" + "|".join(map(re.escape, sorted({*names, *by_id}))) + r")\b")
    for path in _project_files():
        text = path.read_text(encoding="utf-8", errors="replace")
        if service.name not in text:
            continue
        lines = 0
        for number, line in enumerate(text.splitlines(), 1):
            for name in set(wanted.findall(line)):
                if lines < _MOST_LINES:
                    lines += 1
                    yield Use(kind="code", operation=by_id.get(name, name), where=f"{_shown(path)}:{number}")


def _project_files() -> Iterator[Path]:
    count = 0
    for config in apps.get_app_configs():
        folder = Path(config.path)
        if "site-packages" in folder.parts:
            continue
        for path in sorted(folder.rglob("*.py")):
            if path.stat().st_size <= _MOST_FILE_BYTES and "migrations" not in path.parts:
                count += 1
                if count > _MOST_FILES:
                    return
                yield path


def _shown(path: Path) -> str:
    base = Path.cwd()
    return str(path.relative_to(base)) if path.is_relative_to(base) else str(path)


def _in_invocations(service: ExternalService, names: Sequence[str]) -> Iterator[Use]:
    waiting = Invocation.objects.waiting().filter(service=service, operation__name__in=names)
    for name, count in waiting.order_by().values_list("operation__name").annotate(number=Count("pk")):
        yield Use(kind="invocation", operation=name, where="waiting for a callback", count=count)


def _in_log(service: ExternalService, names: Sequence[str]) -> Iterator[Use]:
    operations = Operation.objects.filter(version__service=service, name__in=names)
    logged = {f"{service.name}.{found}": name for found, name in operations.values_list("operation_id", "name")}
    since = clock.now() - timedelta(days=_DAYS)
    entries = IntegrationLogEntry.objects.filter(operation__in=list(logged), started_at__gte=since)
    for operation, count in entries.order_by().values_list("operation").annotate(number=Count("pk")):
        where = f"calls of the last {_DAYS} days"
        yield Use(kind="call", operation=logged[operation], where=where, count=count)
