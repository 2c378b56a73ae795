"""A module with a class for each schema and a method for each operation of a version."""

from collections.abc import Iterator, Sequence

from callouts.external_services.description.definitions import BodyDefinition, MediaDefinition, ParameterDefinition
from callouts.external_services.loaded import document_of
from callouts.external_services.models import ExternalServiceVersion, Operation
from callouts.external_services.typed_client.source import LINE, call, class_name, docstring, literal
from callouts.external_services.typed_client.types import Model, Types

__all__ = ["module_for"]

_IMPORTED = (
    "UNSET", "Answered", "CallOptions", "GeneratedClient", "SubmitOptions", "TypedResponse", "UnsetType", "Upload",
    "answer", "named",
)  # fmt: skip
_STANDARD = {
    "dataclasses": ("dataclass",),
    "datetime": ("date", "datetime"),
    "typing": ("Any", "Literal", "TypeAlias", "Union", "Unpack"),
    "uuid": ("UUID",),
}
_TAKEN = {*_IMPORTED, *(name for names in _STANDARD.values() for name in names), "None", "True", "False"}


def module_for(version: ExternalServiceVersion) -> str:
    """Return the source of a typed client for a version's operations."""
    return _Module(version).source()


class _Module:
    def __init__(self, version: ExternalServiceVersion) -> None:
        self._version = version
        self._client = class_name(version.service.name)
        self._types = Types(document_of(version), {*_TAKEN, self._client})
        self._operations = list(version.operations.order_by("name"))
        # Classes of the document come first to their names; what is made for methods comes after them.
        for operation in self._operations:
            self._visit(operation, class_name(operation.name))
        self._responses = {
            operation.name: self._types.allocated(f"{class_name(operation.name)}Response")
            for operation in self._operations
        }

    def _visit(self, operation: Operation, name: str) -> None:
        self._body_annotations(operation.contract.body, name)
        for parameter in operation.contract.parameters:
            self._types.annotation(parameter.schema, f"{name}{class_name(parameter.python_name)}")
        self._answers(operation, name)

    def _answers(self, operation: Operation, name: str) -> list[tuple[str, str]]:
        """Return the statuses that have a body with a type, and the type."""
        return [
            (status, self._types.annotation(one.schema, f"{name}Answer{status.title()}"))
            for status, answer in sorted(operation.contract.answers.items())
            if (one := _readable(answer.media)) is not None
        ]

    def source(self) -> str:
        responses: list[str] = []
        methods: list[str] = []
        for operation in self._operations:
            name = class_name(operation.name)
            responses.extend(self._response(operation, name))
            methods.extend(self._method(operation, name))
        models = [line for model in list(self._types.models.values()) for line in self._class(model)]
        aliases = [line for name, lines in self._types.aliases.items() for line in _alias(name, lines)]
        body = [*models, *responses, *self._client_class(), *methods, *(["", "", *aliases] if aliases else [])]
        return "\n".join([*self._head(body), *body]).rstrip() + "\n"

    def _head(self, body: Sequence[str]) -> Iterator[str]:
        version = self._version
        title = f"Typed client of the external service {version.service.name}"
        yield from docstring(f"{title}, version {version.number}.", "")[:1]
        if len(f'"""{title}, version {version.number}."""') > LINE:
            yield '"""'
        yield ""
        yield "# Made by `manage.py external_service client`: change the document, not this file."
        yield ""
        yield "from __future__ import annotations"
        yield ""
        words = set(_words("\n".join(body)))
        for module, names in _STANDARD.items():
            used = [name for name in names if name in words]
            if used:
                yield from _import(module, used)
        yield ""
        yield from _import("callouts.external_services.typed", [name for name in _IMPORTED if name in words])
        yield ""

    def _class(self, model: Model) -> Iterator[str]:
        yield ""
        yield "@dataclass(kw_only=True)"
        yield f"class {model.name}:"
        yield from docstring(model.description or "An object of the document.", "    ")
        if model.fields or model.further:
            yield ""
        for field in model.fields:
            annotation = field.annotation
            if field.is_unset:
                annotation = f"{annotation} | UnsetType" if annotation != "Any" else annotation
            elif not field.is_required and annotation != "Any":
                annotation = _optional(annotation)
            head = f"    {field.name}: "
            annotation = self._types.fitting(annotation, len(head) + 9, f"{model.name}{class_name(field.name)}Type")
            yield from _field(f"{head}{annotation}", field.name, field.json_name, field.is_required, field.is_unset)
        if model.further:
            head = "    further: "
            annotation = f"dict[str, {model.further}]"
            annotation = self._types.fitting(annotation, len(head) + 3, f"{model.name}FurtherType")
            yield from call(f"{head.strip()} {annotation} = named", ['"*"', "default_factory=dict"], "    ")
        yield ""

    def _response(self, operation: Operation, name: str) -> Iterator[str]:
        yield ""
        yield f"class {self._responses[operation.name]}(TypedResponse):"
        yield from docstring(f"What {operation.name} answers.", "    ")
        found = self._answers(operation, name)
        if found:
            yield ""
        for status, annotation in found:
            key = "_default" if status == "default" else status.replace("x", "X")
            inner = annotation if annotation == "Any" else _optional(annotation)
            head = f"    code{key}: Answered["
            inner = self._types.fitting(inner, len(head) + len(f'] = answer("{key}")'), f"{name}{class_name(key)}Type")
            yield f'{head}{inner}] = answer("{key}")'
        yield ""

    def _client_class(self) -> Iterator[str]:
        version = self._version
        yield ""
        yield f"class {self._client}(GeneratedClient):"
        yield from docstring(version.title or f"Operations of {version.service.name}.", "    ")
        yield ""
        yield f"    service = {literal(version.service.name)}"
        yield f"    digest = {literal(version.digest)}"

    def _method(self, operation: Operation, name: str) -> Iterator[str]:
        contract = operation.contract
        parameters = sorted(contract.parameters, key=lambda found: not found.required)
        yield ""
        yield f"    def {operation.name}("
        yield "        self,"
        body_argument = self._body_argument(contract.body, name)
        if body_argument:
            yield f"        {body_argument},"
        if parameters:
            yield "        *,"
        for parameter in parameters:
            yield f"        {self._argument(parameter, name)},"
        options = "SubmitOptions" if operation.is_asynchronous else "CallOptions"
        yield f"        **options: Unpack[{options}],"
        yield f"    ) -> {self._responses[operation.name]}:"
        yield from docstring(operation.summary or f"{operation.method} {operation.path}", "        ")
        arguments = [literal(operation.name), "options"]
        if body_argument:
            arguments.append("body=body")
        arguments.extend(f"{found.python_name}={found.python_name}" for found in parameters)
        made = call("self._call", arguments, "        ")
        if len(made) == 1 and len(f"        return {self._responses[operation.name]}({made[0].strip()})") <= LINE:
            yield f"        return {self._responses[operation.name]}({made[0].strip()})"
            return
        yield from call("answered = self._call", arguments, "        ")
        yield f"        return {self._responses[operation.name]}(answered)"

    def _body_argument(self, body: BodyDefinition | None, name: str) -> str:
        if body is None:
            return ""
        annotations = self._body_annotations(body, name)
        annotation = "Any" if "Any" in annotations else " | ".join(dict.fromkeys(" | ".join(annotations).split(" | ")))
        if "Literal[" in annotation:
            annotation = "Any" if len(annotations) > 1 else annotations[0]
        if not body.required and annotation != "Any":
            annotation = _optional(annotation)
        annotation = self._types.fitting(annotation, len("        body:  = None,"), f"{name}BodyType")
        return f"body: {annotation}" if body.required else f"body: {annotation} = None"

    def _body_annotations(self, body: BodyDefinition | None, name: str) -> list[str]:
        return [self._of_media(media, f"{name}Body") for media in body.media] if body is not None else []

    def _of_media(self, media: MediaDefinition, wanted: str) -> str:
        if media.has_all_fields:
            return self._types.of_form(media, wanted)
        if media.kind in {"text", "binary"}:
            return "str" if media.kind == "text" else "bytes"
        return self._types.annotation(media.schema, wanted)

    def _argument(self, parameter: ParameterDefinition, name: str) -> str:
        wanted = f"{name}{class_name(parameter.python_name)}"
        annotation = self._types.annotation(parameter.schema, wanted)
        if not parameter.required and annotation != "Any":
            annotation = _optional(annotation)
        used = len(f"        {parameter.python_name}:  = None,")
        annotation = self._types.fitting(annotation, used, f"{wanted}Type")
        default = "" if parameter.required else " = None"
        return f"{parameter.python_name}: {annotation}{default}"


def _readable(media: Sequence[MediaDefinition]) -> MediaDefinition | None:
    return next((one for one in media if one.kind in {"json", "xml"} and one.schema is not None), None)


def _optional(annotation: str) -> str:
    return annotation if annotation.split(" | ")[-1] == "None" else f"{annotation} | None"


def _field(head: str, name: str, json_name: str, is_required: bool, is_unset: bool) -> list[str]:
    default = "" if is_required else "UNSET" if is_unset else "None"
    if name == json_name:
        return [head if is_required else f"{head} = {default}"]
    arguments = [literal(json_name)] if is_required else [literal(json_name), f"default={default}"]
    return call(f"{head.strip()} = named", arguments, "    ")


def _alias(name: str, lines: Sequence[str]) -> Iterator[str]:
    first, *rest = lines
    yield f"{name}: TypeAlias = {first}"
    yield from rest


def _import(module: str, names: Sequence[str]) -> list[str]:
    line = f"from {module} import {', '.join(names)}"
    if len(line) <= LINE:
        return [line]
    return [f"from {module} import (", *(f"    {name}," for name in names), ")"]


def _words(text: str) -> Iterator[str]:
    word = ""
    for character in text:
        if character.isalnum() or character == "_":
            word += character
        elif word:
            yield word
            word = ""
