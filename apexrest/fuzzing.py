"""The idempotency fuzzer: is it safe to call an endpoint twice?

Every method that changes something is called with a request made from its types (or its own example): twice, many
times at once, and with its process killed around the commit; with an `Idempotency-Key`, and without one. Every table is
looked at before and after, so it wants a database to itself (`manage.py rest_resource fuzz` makes one).
"""

import hashlib
import inspect
import json
import os
import signal
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import StrEnum
from threading import Barrier
from typing import Any
from urllib.parse import urlsplit

from django.apps import apps
from django.conf import settings
from django.contrib.auth.models import User
from django.db import connection, connections, transaction
from django.test import Client
from drf_spectacular.plumbing import ComponentRegistry

from apexrest import registry
from apexrest.documentation.schemas import Schemas
from apexrest.idempotency import HEADER
from apexrest.models import FuzzVerdict, RecordedAnswer
from apexrest.registry import Resource
from apexrest.signatures import SAFE_METHODS, Endpoint
from isthmus import clock, ids
from isthmus.access.actions import issue_access_token

__all__ = ["Finding", "Verdict", "code_digest", "fuzz", "keep"]

_AT_ONCE = 8
_OWN = urlsplit(settings.BASE_URL)


class Verdict(StrEnum):
    """What was found out about a method."""

    SAFE = "safe"
    """The same request again has no further effect, with or without a key."""
    SAFE_WITH_KEY = "safe_with_key"
    """So it is with an `Idempotency-Key`; without one it has its effect again."""
    UNSAFE = "unsafe"
    """Even with a key something happens twice, or an answer is not true."""
    NOT_TRIED = "not_tried"
    """No request could be made that it takes."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What was found out about one method of one resource."""

    mapping: str
    http_method: str
    verdict: Verdict
    detail: str


@dataclass(frozen=True)
class _Answer:
    status: int
    content: bytes
    is_replay: bool


def fuzz(user: User, *, only: str = "") -> Iterator[Finding]:
    """Try every method that changes something, as `user`; yield what was found. `only`: of this mapping."""
    token = issue_access_token(user)
    for resource in registry.all_resources():
        if only and resource.mapping != only:
            continue
        for method, endpoint in resource.endpoints.items():
            if method not in SAFE_METHODS:
                yield _Trial(resource, endpoint, token).run()


def keep(finding: Finding) -> None:
    """Store what was found, with the code that it was found about."""
    resource = next(one for one in registry.all_resources() if one.mapping == finding.mapping)
    FuzzVerdict.objects.update_or_create(
        mapping=finding.mapping,
        http_method=finding.http_method,
        defaults={
            "verdict": finding.verdict,
            "detail": finding.detail,
            "code_digest": code_digest(resource),
            "tried_at": clock.now(),
        },
    )


def code_digest(resource: Resource) -> str:
    """Return a digest of the methods' source: a verdict holds for the code that was tried."""
    sources = [inspect.getsource(getattr(resource.cls, one.name)) for _, one in sorted(resource.endpoints.items())]
    return hashlib.sha256("".join(sources).encode()).hexdigest()


class _Trial:
    """One method under test."""

    def __init__(self, resource: Resource, endpoint: Endpoint, token: str) -> None:
        self._resource = resource
        self._endpoint = endpoint
        self._token = token

    def run(self) -> Finding:
        """Return what is found out."""
        if self._resource.webhook is not None:
            return self._finding(Verdict.NOT_TRIED, "Deliveries are told apart by their ids; they are handled once.")
        first = self._send(_Request(self._resource, self._endpoint), key="")
        if first.status >= 400 and not self._endpoint.options.needs_idempotency_key:
            return self._finding(Verdict.NOT_TRIED, f"The request made from its types was answered {first.status}.")
        problems = [*self._twice(), *self._at_once(), *self._killed()]
        if problems:
            return self._finding(Verdict.UNSAFE, " ".join(problems))
        if self._endpoint.options.needs_idempotency_key:
            return self._finding(Verdict.SAFE_WITH_KEY, "It takes no request without an Idempotency-Key.")
        again = self._without_key()
        if again:
            return self._finding(Verdict.SAFE_WITH_KEY, again)
        return self._finding(Verdict.SAFE, "Twice, at once and after a kill: one effect, with and without a key.")

    def _twice(self) -> Iterator[str]:
        request, key = _Request(self._resource, self._endpoint), str(ids.new_uuid())
        first = self._send(request, key)
        if first.status >= 400:
            yield f"With a key it answers {first.status}."
            return
        before = _State.now()
        second = self._send(request, key)
        if changed := _State.now().differs_from(before):
            yield f"The second request with the same key changed {changed}."
        if not second.is_replay or (second.status, second.content) != (first.status, first.content):
            yield "The second request with the same key got another answer."

    def _at_once(self) -> Iterator[str]:
        request, key = _Request(self._resource, self._endpoint), str(ids.new_uuid())
        before, together = _State.now(), Barrier(_AT_ONCE)

        def send(_: int) -> _Answer:
            together.wait(timeout=60)
            try:
                return self._send(request, key)
            finally:
                connections.close_all()

        with ThreadPoolExecutor(_AT_ONCE) as pool:
            answers = list(pool.map(send, range(_AT_ONCE)))
        made = _State.now().more_than(before)
        taken = {(answer.status, answer.content) for answer in answers if answer.status != 409}
        if len(taken) != 1:
            yield f"{_AT_ONCE} requests at once with one key got {len(taken)} answers."
        if made != (alone := self._made_by_one()):
            yield f"{_AT_ONCE} requests at once with one key made {made}, one alone {alone}."

    def _killed(self) -> Iterator[str]:
        """Kill the process before the commit, and after it; then ask again."""
        for moment in ("before", "after"):
            request, key = _Request(self._resource, self._endpoint), str(ids.new_uuid())
            before = _State.now()
            self._send_and_die(request, key, moment)
            between = _State.now()
            if moment == "before" and (left := between.differs_from(before)):
                yield f"A kill before the commit left changes in {left}."
            again = self._send(request, key)
            if again.status >= 400:
                yield f"After a kill {moment} the commit the same request is answered {again.status}."
            elif moment == "after" and (not again.is_replay or _State.now().differs_from(between)):
                yield "After a kill behind the commit the same request happened again."

    def _without_key(self) -> str:
        request = _Request(self._resource, self._endpoint)
        self._send(request, "")
        before = _State.now()
        self._send(request, "")
        made = _State.now().more_than(before)
        return f"Without a key the second request made more rows: {made}." if made else ""

    def _made_by_one(self) -> dict[str, int]:
        before = _State.now()
        self._send(_Request(self._resource, self._endpoint), str(ids.new_uuid()))
        return _State.now().more_than(before)

    def _send(self, request: "_Request", key: str) -> _Answer:
        answer = Client(raise_request_exception=False, SERVER_NAME=_OWN.hostname or "127.0.0.1").generic(
            self._endpoint.http_method,
            request.path,
            request.body,
            content_type="application/json",
            secure=_OWN.scheme == "https",
            headers={"Authorization": f"Bearer {self._token}", **({HEADER: key} if key else {})},
        )
        return _Answer(answer.status_code, bytes(answer.content), answer.headers.get("Idempotent-Replayed") == "true")

    def _send_and_die(self, request: "_Request", key: str, moment: str) -> None:
        """Send from a process that kills itself just before, or just after, the commit of the effect."""
        connections.close_all()
        if connection.vendor == "postgresql":
            # Connections of a pool cannot be had by two processes.
            connection.close_pool()  # type: ignore[attr-defined]  # PostgreSQL's
        child = os.fork()
        if child:
            os.waitpid(child, 0)
            return
        try:
            with connection.execute_wrapper(_Killer(moment)):
                self._send(request, key)
        finally:
            # Nothing of the parent's may go on here.
            _die()

    def _finding(self, verdict: Verdict, detail: str) -> Finding:
        return Finding(
            mapping=self._resource.mapping, http_method=self._endpoint.http_method, verdict=verdict, detail=detail
        )


class _Killer:
    """Ends the process when the answer was recorded: before the commit, or right behind it."""

    def __init__(self, moment: str) -> None:
        self._moment = moment

    def __call__(self, execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        found = execute(sql, params, many, context)
        if sql.startswith("INSERT") and RecordedAnswer._meta.db_table in sql:
            if self._moment == "before":
                _die()
            transaction.on_commit(_die)
        return found


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@dataclass(frozen=True)
class _State:
    """What the tables hold, those left out that every request writes."""

    counts: Mapping[str, int]
    digests: Mapping[str, str]

    @classmethod
    def now(cls) -> "_State":
        """Read every table."""
        counts, digests = {}, {}
        for model in apps.get_models(include_auto_created=True):
            label = model._meta.label
            if not model._meta.managed or model._meta.proxy or label in _BOOKKEEPING:
                continue
            rows = list(model._base_manager.order_by("pk").values_list())
            counts[label] = len(rows)
            digests[label] = hashlib.sha256(repr(rows).encode()).hexdigest()
        return cls(counts, digests)

    def differs_from(self, other: "_State") -> str:
        """Return the tables that hold something else, "" for none."""
        return ", ".join(label for label, digest in self.digests.items() if digest != other.digests[label])

    def more_than(self, other: "_State") -> dict[str, int]:
        """Return by table how many rows there are more."""
        return {label: n - other.counts[label] for label, n in self.counts.items() if n > other.counts[label]}


_BOOKKEEPING = {
    "access.ApiUse",
    "apexrest.RateState",
    "apexrest.RecordedAnswer",
    "callouts.IntegrationLogEntry",
    "objects.RawChange",
    "oauth2_provider.AccessToken",
}


class _Request:
    """A request that the method takes, unlike any before."""

    def __init__(self, resource: Resource, endpoint: Endpoint) -> None:
        self._mark = ids.new_token(6)
        base = resource.mapping.removesuffix("/*")
        rest = f"/{self._mark}" if resource.mapping.endswith("/*") and endpoint.http_method != "POST" else ""
        self.path = f"/services/apexrest{base}{rest}"
        self.body = json.dumps(self._example(endpoint)).encode() if endpoint.takes_body else b""

    def _example(self, endpoint: Endpoint) -> Any:
        if endpoint.options.example is not None:
            return self._marked(endpoint.options.example)
        schemas = Schemas(ComponentRegistry(), is_answer=False)
        made = {name: schemas.example(annotation, name=name) for name, annotation in endpoint.annotations.items()}
        return self._marked(made[endpoint.envelope] if endpoint.envelope else made)

    def _marked(self, value: Any) -> Any:
        """Return the example with texts of its own, so that it is another request than the one before."""
        if isinstance(value, Mapping):
            return {name: self._marked(item) for name, item in value.items()}
        if isinstance(value, list):
            return [self._marked(item) for item in value]
        if not isinstance(value, str):
            return value
        return value.replace("text", f"text-{self._mark}") if value.startswith("text") else value
