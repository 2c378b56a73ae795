"""A part of a composite request: what it asks for, read once, then asked as if it had come by itself."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import parse_qsl, unquote

from django.db import transaction
from django.utils.datastructures import CaseInsensitiveMapping

from isthmus.errors import IsthmusError
from records import versions
from records.calls import Answer, Call
from records.composite import shapes
from records.composite.references import References, names_in
from records.errors import BodyRefused, NoSuchResource, PartRefused
from records.routing import Route, answer_or_refuse, find_route, refusal

__all__ = ["Address", "Part", "ask", "ask_alone", "read_address", "read_method", "read_part"]

METHODS = ("DELETE", "GET", "PATCH", "POST", "PUT")
MAX_PARAMETERS = 1_000
"""Parameters in one address."""

_ADDRESS = re.compile(r"/+services/+data/+v([0-9]{2}\.[0-9])(?:/([^?]*))?(?:\?(.*))?", re.DOTALL)
_REFERENCE_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_]*")
_INHERITED = {"accept", "authorization", "content-type"}
_QUERIES = {"q", "explain"}
_OF_ITS_OWN = ("composite", "graphql", "jobs")
"""Resources that cannot be parts; collections, which are below one of them, can."""
_COLLECTIONS = "composite/sobjects"
# Stands for a slash inside one piece of a path, for telling it from those between pieces.
_SLASH = "\ue000"


@dataclass(frozen=True, kw_only=True)
class Address:
    """Where a part goes, taken apart and decoded, so that what is filled in stays in its place."""

    version: str
    pieces: tuple[str, ...]
    parameters: tuple[tuple[str, str], ...] = ()

    @property
    def resource(self) -> str:
        """The first piece in lower case: `sobjects`, `query`, …; "" for none."""
        return self.pieces[0].lower() if self.pieces else ""

    def route(self) -> Route:
        """Return the resource that answers. Raises `NoSuchResource`."""
        return find_route("/".join(piece.replace("/", _SLASH) for piece in self.pieces))[0]

    def filled(self, references: References) -> "Address":
        """Return the address with its references filled in. Raises what `References` raises."""
        parameters = tuple(
            (name, references.in_soql(value) if name in _QUERIES else references.in_text(value))
            for name, value in self.parameters
        )
        return replace(self, pieces=tuple(map(references.in_text, self.pieces)), parameters=parameters)


@dataclass(frozen=True, kw_only=True)
class Part:
    """One thing that a composite request asks for."""

    method: str
    address: Address
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=lambda: CaseInsensitiveMapping({}))
    reference_id: str = ""

    @property
    def is_collection(self) -> bool:
        """Whether it writes or reads several records by itself."""
        return [piece.lower() for piece in self.address.pieces[:2]] == _COLLECTIONS.split("/")

    @property
    def writes(self) -> bool:
        """Whether it may change anything."""
        return self.method != "GET"

    def refers_to(self) -> set[str]:
        """Return the names of the parts that it refers to."""
        return set(names_in([self.address.pieces, [value for _, value in self.address.parameters], self.body]))

    def all_or_none(self) -> "Part":
        """Return the part as it is when everything around it is all or none: a collection then is, too."""
        if not self.is_collection:
            return self
        if self.method != "DELETE" and isinstance(self.body, Mapping):
            return replace(self, body={**self.body, "allOrNone": True})
        parameters = (*self.address.parameters, ("allOrNone", "true"))
        return replace(self, address=replace(self.address, parameters=parameters))


def read_part(given: Any, name: str) -> Part:
    """Return the part that a member of `compositeRequest` describes; `name` is what errors call it.

    Raises `BodyRefused`.
    """
    found = shapes.as_object(given, name)
    reference_id = shapes.as_text(found.get("referenceId"), f"{name}.referenceId")
    if not _REFERENCE_ID.fullmatch(reference_id):
        raise BodyRefused(
            f"{name}.referenceId must start with a letter or digit and hold only letters, digits and underscores."
        )
    return Part(
        method=read_method(found.get("method"), name),
        address=read_address(shapes.as_text(found.get("url"), f"{name}.url"), name),
        body=found.get("body"),
        headers=_headers(found.get("httpHeaders"), name),
        reference_id=reference_id,
    )


def read_method(given: Any, name: str) -> str:
    """Return the method of a part. Raises `BodyRefused`."""
    if given not in METHODS:
        raise BodyRefused(f"{name}.method must be one of {', '.join(METHODS)}.")
    return str(given)


def read_address(url: str, name: str) -> Address:
    """Return the address that `url` gives: a path from the host's root. Raises `BodyRefused`."""
    matched = _ADDRESS.fullmatch(url)
    if matched is None or not versions.is_answered(matched[1]):
        raise BodyRefused(f"{name}.url must start with /services/data/vXX.X/ of a version that is answered.")
    try:
        parameters = parse_qsl(matched[3] or "", keep_blank_values=True, max_num_fields=MAX_PARAMETERS)
    except ValueError as error:
        raise BodyRefused(f"{name}.url has more than {MAX_PARAMETERS} parameters.") from error
    pieces = tuple(unquote(piece) for piece in (matched[2] or "").split("/") if piece)
    return Address(version=matched[1], pieces=pieces, parameters=tuple(parameters))


def ask(part: Part, call: Call, *, within: str, references: References | None = None) -> Answer:
    """Ask for a part of `call`, and answer a refusal or failure as well.

    Without `references`, what looks like one is plain text.
    """
    try:
        asked = _call(part, call, within, references)
    except IsthmusError as error:
        return refusal(error, call)
    found = answer_or_refuse(asked)
    if isinstance(found.body, bytes):
        return refusal(PartRefused("What this resource answers is not JSON; ask for it by itself."), asked)
    return found


def ask_alone(part: Part, call: Call, *, within: str, references: References | None = None) -> Answer:
    """Ask for a part in a transaction of its own: what fails leaves nothing behind."""
    if not part.writes:
        return ask(part, call, within=within, references=references)
    try:
        with transaction.atomic():
            found = ask(part, call, within=within, references=references)
            if not found.succeeded:
                transaction.set_rollback(True)
    except Exception as error:  # noqa: BLE001 - a commit that fails is this part's failure, and the others go on
        return refusal(error, call)
    return found


def _call(part: Part, call: Call, within: str, references: References | None) -> Call:
    route = part.address.route()
    _require_allowed(route)
    address = part.address if references is None else part.address.filled(references)
    path = "/".join(address.pieces)
    # A value that is filled in, or has a slash in it, must not make this another resource.
    if find_route(path)[0] is not route:
        raise NoSuchResource
    return Call(
        method=part.method,
        path=path,
        version=address.version,
        user=call.user,
        query=dict(address.parameters),
        headers=part.headers,
        body=part.body if references is None else references.in_value(part.body),
        client=call.client,
        within=within,
    )


def _require_allowed(route: Route) -> None:
    if route.name.split("/")[0] in _OF_ITS_OWN and not f"{route.name}/".startswith(f"{_COLLECTIONS}/"):
        raise PartRefused(f"{route.name} cannot be part of a composite request.")


def _headers(given: Any, name: str) -> Mapping[str, str]:
    found = shapes.as_object({} if given is None else given, f"{name}.httpHeaders")
    for header, value in found.items():
        if header.lower() in _INHERITED:
            raise BodyRefused(f"{name}.httpHeaders must not have {header}: it is that of the whole request.")
        if not isinstance(value, str):
            raise BodyRefused(f"{name}.httpHeaders.{header} must be a text.")
    return CaseInsensitiveMapping(found)
