"""What is kept of an operation: enough to call it and to receive its callbacks, with schemas as pointers."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

__all__ = [
    "BodyDefinition",
    "BodyKind",
    "CallbackDefinition",
    "CallbackRequest",
    "Location",
    "OperationDefinition",
    "ParameterDefinition",
]

Location = Literal["path", "query", "header", "cookie"]
BodyKind = Literal["json", "form", "text", "binary"]


@dataclass(frozen=True, kw_only=True)
class ParameterDefinition:
    """One parameter: where it goes and how it is written there."""

    name: str
    location: Location
    python_name: str
    required: bool = False
    style: str = "simple"
    explode: bool = False
    allow_reserved: bool = False
    as_json: bool = False
    """Whether the value is written as JSON (the parameter has `content`)."""
    schema: str | None = None
    """Pointer into the document; `None`: any value."""
    description: str = ""


@dataclass(frozen=True, kw_only=True)
class BodyDefinition:
    """The body of a request or a callback."""

    content_types: tuple[str, ...]
    """Those that the document lists; the first is sent."""
    kind: BodyKind
    required: bool = False
    schema: str | None = None

    @classmethod
    def from_json(cls, stored: Mapping[str, Any] | None) -> "BodyDefinition | None":
        return None if stored is None else cls(**{**stored, "content_types": tuple(stored["content_types"])})


@dataclass(frozen=True, kw_only=True)
class CallbackRequest:
    """What the outside sends to a callback's address with one method."""

    parameters: tuple[ParameterDefinition, ...] = ()
    body: BodyDefinition | None = None

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> "CallbackRequest":
        return cls(
            parameters=tuple(ParameterDefinition(**found) for found in stored["parameters"]),
            body=BodyDefinition.from_json(stored["body"]),
        )


@dataclass(frozen=True, kw_only=True)
class CallbackDefinition:
    """One callback of an asynchronous operation, and where its address is put."""

    name: str
    python_name: str
    expression: str
    location: Literal["path", "query", "header", "body"]
    place: str
    """Name of the parameter or header, or the JSON pointer into the body."""
    suffix: str = ""
    """What the outside appends to our address."""
    methods: Mapping[str, CallbackRequest] = field(default_factory=dict)
    """By method, in capitals."""

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> "CallbackDefinition":
        methods = {method: CallbackRequest.from_json(found) for method, found in stored["methods"].items()}
        return cls(**{**stored, "methods": methods})

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, kw_only=True)
class OperationDefinition:
    """All of an operation but its callbacks."""

    parameters: tuple[ParameterDefinition, ...] = ()
    body: BodyDefinition | None = None
    server_path: str = ""
    """The path of the document's server, without its host."""
    answers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Content types by status, status range (`2XX`) or `default`."""
    summary: str = ""
    is_deprecated: bool = False

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> "OperationDefinition":
        return cls(
            **{
                **stored,
                "parameters": tuple(ParameterDefinition(**found) for found in stored["parameters"]),
                "body": BodyDefinition.from_json(stored["body"]),
                "answers": {status: tuple(types) for status, types in stored["answers"].items()},
            }
        )

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    @property
    def idempotency_header(self) -> ParameterDefinition | None:
        """The header parameter that makes repeating safe, or `None`."""
        return next((found for found in self.parameters if is_idempotency_header(found)), None)

    def answer_types(self, status: int) -> tuple[str, ...]:
        """Return the content types that the document lists for a status."""
        for key in (str(status), f"{status // 100}XX", f"{status // 100}xx", "default"):
            if key in self.answers:
                return self.answers[key]
        return ()


def is_idempotency_header(parameter: ParameterDefinition) -> bool:
    """Return whether a parameter is the header of draft-ietf-httpapi-idempotency-key-header."""
    return parameter.location == "header" and parameter.name.lower() == "idempotency-key"
