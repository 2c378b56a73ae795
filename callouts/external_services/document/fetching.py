"""Fetching a document that somebody asked for by its address."""

from urllib.parse import quote, unquote, urlsplit

import requests

from callouts import egress, http, integration_log
from callouts.egress import Deadline, Route
from callouts.external_services.conf import options
from callouts.external_services.document.bundling import FetchedSet
from callouts.external_services.errors import DocumentRefused
from callouts.integration_log import About, Exchanged
from callouts.models import Direction
from credentials.models import NamedCredential
from isthmus.errors import IsthmusError

__all__ = ["fetch", "fetched_set"]

_ACCEPT = "application/json, application/yaml;q=0.9, */*;q=0.1"
_SECONDS = 60.0


def fetch(url: str, *, named_credential: NamedCredential | None = None) -> bytes:
    """Return the document at `callout:Name/path`, or at an http(s) address, which is asked without any credential.

    Internal addresses are refused unless `named_credential` allows them and the address is at its origin.
    Raises `DocumentRefused` for an answer that is no document, and errors of `callouts.errors` and
    `credentials.errors`.
    """
    if url.startswith("callout:"):
        answer = http.get(url, headers={"Accept": _ACCEPT}, operation="fetch a document")
    else:
        answer = _fetched_openly(url, named_credential)
    if answer.status_code != 200:
        raise DocumentRefused(f"{url} answered {answer.status_code}, not with a document.")
    return answer.content


def fetched_set(url: str) -> FetchedSet:
    """Return the documents beside the one at `callout:Name/path`, fetched through the same named credential."""
    credential, _, path = url.partition("/")

    def beside(name: str) -> bytes | None:
        answer = http.get(f"{credential}/{quote(name)}", headers={"Accept": _ACCEPT}, operation="fetch a document")
        return answer.content if answer.status_code == 200 else None

    return FetchedSet(unquote(path.partition("?")[0]), beside)


def _fetched_openly(url: str, named_credential: NamedCredential | None) -> requests.Response:
    try:
        request = requests.Request("GET", url, headers={"Accept": _ACCEPT, "User-Agent": "Isthmus"}).prepare()
    except requests.RequestException as error:
        raise DocumentRefused(f"{url} is no address of a document.") from error
    at_home = named_credential is not None and _origin(named_credential.url) == _origin(url)
    route = Route(
        named_credential=named_credential.name if named_credential and at_home else "",
        allow_internal_addresses=bool(at_home and named_credential and named_credential.allow_internal_addresses),
        max_body_bytes=options.document_max_bytes,
    )
    answer, failure = None, None
    try:
        answer = egress.sender().send(request, route=route, deadline=Deadline.within(_SECONDS))
    except IsthmusError as error:
        failure = error
        raise
    finally:
        integration_log.record(
            Exchanged.of(request, answer),
            About(operation="fetch a document", named_credential=route.named_credential),
            direction=Direction.OUTBOUND,
            outcome=integration_log.outcome_of(answer.status_code if answer is not None else None, failure),
            error=failure,
        )
    return answer


def _origin(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    return parts.scheme.lower(), parts.netloc.lower()
