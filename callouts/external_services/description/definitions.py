"""What is kept of an operation: enough to call it and to receive its callbacks, with schemas as pointers.

All of it is JSON in a column, so every field has a default that is left out when it is stored.
"""

from collections.abc import Mapping
from typing import Any, Literal

import msgspec

__all__ = [
    "AnswerDefinition",
    "BodyDefinition",
    "BodyKind",
    "CallbackDefinition",
    "CallbackRequest",
    "FieldDefinition",
    "Hints",
    "Location",
    "MediaDefinition",
    "OperationDefinition",
    "PageHint",
    "ParameterDefinition",
    "RetryHint",
    "as_json",
    "callbacks_as_json",
    "callbacks_from_json",
    "from_json",
    "is_idempotency_header",
]

Location = Literal["path", "query", "header", "cookie"]
BodyKind = Literal["json", "form", "multipart", "text", "xml", "binary"]


class ParameterDefinition(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One parameter or answer header: where it goes and how it is written there."""

    name: str
    location: Location
    python_name: str = ""
    required: bool = False
    style: str = "simple"
    explode: bool = False
    allow_reserved: bool = False
    media_type: str = ""
    """How the value is written, where the parameter has `content`; "": by its style."""
    schema: str | None = None
    """Pointer into the document; `None`: any value."""
    description: str = ""

    @property
    def as_json(self) -> bool:
        """Whether the value is written as JSON."""
        name = self.media_type.partition(";")[0].strip().lower()
        return name == "application/json" or name.endswith(("+json", "/json"))


class FieldDefinition(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How one field of a form or a part of a multipart body is written."""

    name: str
    content_type: str = ""
    """"": what fits the value."""
    style: str = ""
    """"": the media type's own way."""
    explode: bool = True
    allow_reserved: bool = False
    required: bool = False
    is_file: bool = False
    schema: str | None = None
    """Only in OpenAPI 2.0, whose forms are lists of fields; else the body's schema has it."""
    description: str = ""


class MediaDefinition(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One way in which a body can be written."""

    content_type: str
    kind: BodyKind
    schema: str | None = None
    fields: tuple[FieldDefinition, ...] = ()
    """Of forms; those that need no words are left out, except in OpenAPI 2.0 (`has_all_fields`)."""
    has_all_fields: bool = False
    """Whether `fields` is all there is, and stands for a schema."""
    example: str | None = None
    """Pointer to the media type object, where that has an example."""

    def field_named(self, name: str) -> FieldDefinition:
        return next((found for found in self.fields if found.name == name), FieldDefinition(name=name))


class BodyDefinition(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The body of a request or a callback."""

    media: tuple[MediaDefinition, ...]
    """Those that can be written, the preferred one first; never empty."""
    required: bool = False

    @property
    def content_types(self) -> tuple[str, ...]:
        return tuple(found.content_type for found in self.media)

    @property
    def kind(self) -> BodyKind:
        return self.media[0].kind

    @property
    def schema(self) -> str | None:
        return self.media[0].schema

    def media_for(self, content_type: str) -> MediaDefinition | None:
        """Return how a content type is written or read; `None` where it is not listed."""
        return _best(self.media, content_type)


class AnswerDefinition(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What comes back with one status."""

    media: tuple[MediaDefinition, ...] = ()
    headers: tuple[ParameterDefinition, ...] = ()

    @property
    def content_types(self) -> tuple[str, ...]:
        return tuple(found.content_type for found in self.media)

    def media_for(self, content_type: str) -> MediaDefinition | None:
        """Return what is known of a content type; `None` where it is not listed."""
        return _best(self.media, content_type)


def _best(media: tuple[MediaDefinition, ...], content_type: str) -> MediaDefinition | None:
    """Return the most exact match, as https://spec.openapis.org/oas/v3.1.1.html#media-type-object has it."""
    wanted = content_type.partition(";")[0].strip().lower()
    kind = wanted.partition("/")[0]
    for accepted in (wanted, f"{kind}/*", "*/*"):
        for found in media:
            if wanted and found.content_type.partition(";")[0].strip().lower() == accepted:
                return found
    return None


class CallbackRequest(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the outside sends to a callback's address with one method."""

    parameters: tuple[ParameterDefinition, ...] = ()
    body: BodyDefinition | None = None


class CallbackDefinition(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One address of one callback of an asynchronous operation, and where our address is put."""

    name: str
    python_name: str
    """The handler's method. Several addresses of one callback share it."""
    expression: str
    location: Literal["path", "query", "header", "body", "none"]
    """`none`: the document reads the address where we cannot write; it is told to the caller."""
    place: str = ""
    """Name of the parameter or header, or the JSON pointer into the body."""
    suffix: str = ""
    """What the outside appends to our address; may hold runtime expressions in braces."""
    key: str = ""
    """The address's last segment; "" is the name."""
    repeats: bool = False
    """Whether it may come several times: then it does not end the invocation."""
    methods: Mapping[str, CallbackRequest] = {}
    """By method, in capitals."""


class PageHint(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How one page leads to the next."""

    kind: Literal["link_header", "next_link", "token", "number", "offset"]
    parameter: str = ""
    """The query parameter that asks for a page."""
    field: str = ""
    """JSON pointer into an answer: the address or the token of the next page."""
    items: str = ""
    """JSON pointer to the items in an answer; "" where the answer is the list, or nobody knows."""
    size_parameter: str = ""
    """The query parameter that says how many items a page holds; "" where there is none."""


class RetryHint(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """When the document says that trying again is worth it."""

    statuses: tuple[str, ...] = ()
    """Such as `429` or `5XX`."""
    seconds: tuple[float, ...] = ()
    """Delays before further attempts, where the document says so."""


class Hints(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a document tells beside the shape of requests and answers."""

    pages: PageHint | None = None
    retry: RetryHint | None = None
    limit_headers: tuple[str, ...] = ()
    """Answer headers that tell how much may still be asked."""


class OperationDefinition(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """All of an operation but its callbacks."""

    parameters: tuple[ParameterDefinition, ...] = ()
    body: BodyDefinition | None = None
    server_path: str = ""
    """The path of the document's server, without its host."""
    answers: Mapping[str, AnswerDefinition] = {}
    """By status, status range (`2XX`) or `default`."""
    summary: str = ""
    is_deprecated: bool = False
    security: tuple[tuple[str, ...], ...] = ()
    """Alternatives, each the names of the security schemes that it needs together."""
    hints: Hints = Hints()

    @property
    def idempotency_header(self) -> ParameterDefinition | None:
        """The header parameter that makes repeating safe, or `None`."""
        return next((found for found in self.parameters if is_idempotency_header(found)), None)

    def answer(self, status: int) -> AnswerDefinition | None:
        """Return what the document says about a status; `None` where it says nothing."""
        for key in (str(status), f"{status // 100}XX", f"{status // 100}xx", "default"):
            if key in self.answers:
                return self.answers[key]
        return None


def is_idempotency_header(parameter: ParameterDefinition) -> bool:
    """Return whether a parameter is the header of draft-ietf-httpapi-idempotency-key-header."""
    return parameter.location == "header" and parameter.name.lower() == "idempotency-key"


def callbacks_as_json(callbacks: tuple[CallbackDefinition, ...]) -> str:
    """Return callbacks as a column keeps them."""
    return msgspec.json.encode(callbacks).decode()


def callbacks_from_json(stored: str | bytes) -> tuple[CallbackDefinition, ...]:
    """Return callbacks from their column."""
    return msgspec.json.decode(stored, type=tuple[CallbackDefinition, ...])


def from_json(stored: str | bytes) -> OperationDefinition:
    """Return a definition from its column."""
    return msgspec.json.decode(stored, type=OperationDefinition)


def as_json(definition: Any) -> str:
    """Return a definition as a column keeps it."""
    return msgspec.json.encode(definition).decode()
