"""`manage.py job list|show|retry|abort|run`: background operations from a shell.

Exit status: 0 well; 1 refused, or the operation that was run did not complete; 2 wrong usage; 3 not ended within
`--wait`; 4 there is no such operation or function.
"""

import json
import threading
import uuid
from argparse import ArgumentParser
from collections.abc import Callable
from typing import Any, NoReturn

from django.core.management.base import BaseCommand, CommandError
from django.core.serializers.json import DjangoJSONEncoder
from django.http import QueryDict

from isthmus import clock
from isthmus.errors import IsthmusError
from isthmus.jobs import actions, registry
from isthmus.jobs.console import batch_of, listed
from isthmus.jobs.errors import UnknownFunction
from isthmus.jobs.models import Job, JobState
from isthmus.jobs.views import JobFilters

__all__ = ["Command"]

_REFUSED, _USAGE, _NOT_ENDED, _NOT_FOUND = 1, 2, 3, 4
_LOOK_SECONDS = 0.2
_FIELDS = (
    "id", "function", "kind", "state", "reason", "attempts", "max_attempts", "progress_done", "progress_total",
    "subject_type", "subject_id", "correlation_id", "error", "created_at", "started_at", "finished_at", "run_at",
)  # fmt: skip
_MORE_FIELDS = ("arguments", "result", "error_trace", "unique_key", "failures", "worker_deaths", "scheduled_for")


class Command(BaseCommand):
    """What the page of background operations does, for scripts."""

    help = (
        "List background operations, look at one, try again, abort or run it. "
        "Exit status: 0 well; 1 refused or not completed; 2 wrong usage; 3 not ended in time; 4 not found."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        doing = parser.add_subparsers(dest="doing", required=True)
        listing = doing.add_parser("list", help="the latest, newest first, narrowed like the page")
        for name, field in JobFilters.base_fields.items():
            choices = [str(key) for key, _ in getattr(field, "choices", ()) if key]
            listing.add_argument(f"--{name}", default="", choices=choices or None, help=str(field.label).lower())
        listing.add_argument("--most", type=int, default=50, help="how many at most (50)")
        for name, text in (
            ("show", "everything about one, its log and what failed in it"),
            ("retry", "give a failed or aborted one fresh attempts"),
            ("abort", "end one that has not ended"),
        ):
            doing.add_parser(name, help=text).add_argument("id", help="its id")
        doing.choices["retry"].add_argument(
            "--only-failed", action="store_true", help="of a completed batch: a new one over what failed in it"
        )
        doing.choices["abort"].add_argument("--reason", default="", help="why, for whoever looks at it")
        running = doing.add_parser("run", help="run one here and now, or enqueue a function and wait for its end")
        running.add_argument("what", metavar="ID-OR-FUNCTION", help="an id, or the dotted name of a function")
        running.add_argument("--argument", action="append", default=[], metavar="NAME=JSON", help="of a function")
        running.add_argument("--wait", type=float, metavar="SECONDS", help="at most so long; without it, to the end")
        for each in doing.choices.values():
            each.add_argument("--json", action="store_true", dest="as_json", help="one JSON object a line")

    def handle(self, *_: Any, doing: str, **given: Any) -> None:
        self._as_json: bool = given["as_json"]
        acts: dict[str, Callable[[dict[str, Any]], None]] = {
            "list": self._list,
            "show": self._show,
            "retry": self._retry,
            "abort": self._abort,
            "run": self._run,
        }
        try:
            acts[doing](given)
        except UnknownFunction as error:
            _end(error.message, _NOT_FOUND)
        except IsthmusError as error:
            _end(f"{error.code}: {error.message}", _REFUSED)

    def _list(self, given: dict[str, Any]) -> None:
        query = QueryDict(mutable=True)
        query.update({name: given[name] for name in JobFilters.base_fields})
        filters = JobFilters(query)
        if not filters.is_valid():
            _end(
                "\n".join(f"--{name}: {' '.join(map(str, errors))}" for name, errors in filters.errors.items()), _USAGE
            )
        if given["most"] < 1:
            _end("--most is at least 1.", _USAGE)
        for job in filters.narrow(listed()).order_by("-created_at", "-pk")[: given["most"]]:
            self._tell(job)

    def _show(self, given: dict[str, Any]) -> None:
        job = _job(given["id"])
        found = _as_dict(job, *_MORE_FIELDS)
        found["log"] = list(job.log_lines.values("created_at", "attempt", "message", "fields"))
        found["after"] = [str(each.predecessor_id) for each in job.dependencies.order_by("pk")]
        if run := batch_of(job):
            found["batch"] = {
                name: getattr(run, name) for name in ("total", "done", "failed", "chunks", "failed_chunks")
            }
            found["failures"] = [
                {"chunk": each.chunk, "items": [[key, why or each.error] for _, key, why in each.items]}
                for each in job.batch_failures.iterator(chunk_size=100)
            ]
        if self._as_json:
            self._write(found)
            return
        for name, value in found.items():
            if value not in (None, "", [], {}):
                self.stdout.write(f"{name}: {_plain(value)}")

    def _retry(self, given: dict[str, Any]) -> None:
        job = _job(given["id"])
        self._tell(actions.retry_failed(job) if given["only_failed"] else actions.retry(job))

    def _abort(self, given: dict[str, Any]) -> None:
        self._tell(actions.abort(_job(given["id"]), reason=given["reason"][:200]))

    def _run(self, given: dict[str, Any]) -> None:
        wait: float | None = given["wait"]
        until = None if wait is None else clock.monotonic_seconds() + wait
        job = self._to_run(given["what"], given["argument"])
        while not _run_until(job, until):
            if until is not None and clock.monotonic_seconds() >= until:
                self._tell(job)
                _end(f"The operation {job.pk} is {job.state}: it has not ended yet.", _NOT_ENDED)
            threading.Event().wait(_LOOK_SECONDS)
        self._tell(job)
        if job.state != JobState.COMPLETED:
            _end(f"The operation {job.pk} is {job.state}: {job.error or job.reason}", _REFUSED)

    def _to_run(self, what: str, given: list[str]) -> Job:
        if _as_uuid(what) is None:
            return actions.enqueue_function(registry.find(what), dict(_argument(each) for each in given))
        if given:
            _end("--argument goes with the name of a function.", _USAGE)
        return _job(what)

    def _tell(self, job: Job) -> None:
        if self._as_json:
            self._write(
                _as_dict(job, "result")
                if job.is_terminal and "result" not in job.get_deferred_fields()
                else _as_dict(job)
            )
            return
        told = (job.error if job.error and job.state != JobState.COMPLETED else job.reason).split("\n", 1)[0]
        self.stdout.write(
            f"{job.pk}  {job.state:<10}  {job.created_at:%Y-%m-%d %H:%M:%S}  {job.function}  {told}".rstrip()
        )

    def _write(self, found: dict[str, Any]) -> None:
        self.stdout.write(json.dumps(found, cls=DjangoJSONEncoder, ensure_ascii=False))


def _run_until(job: Job, until: float | None) -> bool:
    """Run the job if it is due; return whether it has ended."""
    left = _LOOK_SECONDS if until is None else max(min(_LOOK_SECONDS, until - clock.monotonic_seconds()), 0)
    actions.run_inline(job, wait_seconds=left)
    return job.is_terminal


def _job(given: str) -> Job:
    wanted = _as_uuid(given)
    if wanted is None:
        _end(f"{given!r} is not the id of an operation.", _USAGE)
    job = Job.objects.select_related("user", "batch").filter(pk=wanted).first()
    if job is None:
        _end(f"There is no operation {given}.", _NOT_FOUND)
    return job


def _as_uuid(text: str) -> uuid.UUID | None:
    try:
        return uuid.UUID(text)
    except ValueError:
        return None


def _argument(given: str) -> tuple[str, object]:
    name, equals, text = given.partition("=")
    try:
        if not (name and equals):
            raise ValueError("it is written NAME=JSON")
        return name, json.loads(text)
    except ValueError as error:
        raise CommandError(f"--argument {name}: {error}.", returncode=_USAGE) from error


def _as_dict(job: Job, *more: str) -> dict[str, Any]:
    found = {name: getattr(job, name) for name in (*_FIELDS, *more)}
    found["user"] = job.user.get_username() if job.user else None
    if run := batch_of(job):
        found["failed_items"] = run.failed
    return found


def _plain(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, cls=DjangoJSONEncoder, ensure_ascii=False)


def _end(message: str, status: int) -> NoReturn:
    raise CommandError(message, returncode=status)
