"""Operations of OpenAPI 2.0, called Swagger (https://spec.openapis.org/oas/v2.0.html)."""

from collections.abc import Iterator, Mapping
from typing import Any

from callouts.external_services.description.definitions import (
    AnswerDefinition,
    BodyDefinition,
    FieldDefinition,
    MediaDefinition,
    ParameterDefinition,
)
from callouts.external_services.description.media_types import PREFERENCE, kind_of
from callouts.external_services.description.problems import Problem, Unusable
from callouts.external_services.description.reader import Found, Parameters, Reader, listed, noted, path_of, text, words
from callouts.external_services.document import pointers
from callouts.external_services.document.references import BrokenReference

__all__ = ["Swagger2Reader"]

_PLACES = frozenset({"path", "query", "header"})
_FORMATS = {
    "csv": ("", False),
    "ssv": ("spaceDelimited", False),
    "tsv": ("tabDelimited", False),
    "pipes": ("pipeDelimited", False),
    "multi": ("form", True),
}
"""`collectionFormat` → style and explode; "" is the style of the place."""
_IGNORED_HEADERS = frozenset({"accept", "authorization", "content-type"})
_FORM_TYPES = ("application/x-www-form-urlencoded", "multipart/form-data")


class Swagger2Reader(Reader):
    """Reads operation objects of version 2, in which a parameter is its own schema and may be the body."""

    def inputs(
        self, found: Found, operation_id: str, problems: list[Problem]
    ) -> tuple[Parameters, BodyDefinition | None]:
        """Return an operation's parameters, by name and place, and its body."""
        given: dict[tuple[str, str], tuple[Mapping[str, Any], str]] = {}
        for owner, at in ((found.path_item, found.path_item_at), (found.value, found.at)):
            for item, item_at in listed(owner, at, operation_id, problems):
                try:
                    value, value_at = self.resolved(item, item_at)
                    given[_name_and_place(value, value_at)] = (value, value_at)
                except (Unusable, BrokenReference) as unusable:
                    noted(problems, operation_id, unusable)
        parameters: Parameters = {}
        fields: list[FieldDefinition] = []
        body: BodyDefinition | None = None
        for (name, place), (value, at) in given.items():
            if place == "body":
                body = self._body(found, value, at)
            elif place == "formData":
                fields.append(_field(name, value, at))
            elif place != "header" or name.lower() not in _IGNORED_HEADERS:
                parameters[name, place] = _parameter(name, place, value, at)
        if fields and body is None:
            body = self._form(found, tuple(fields))
        return parameters, body

    def _consumes(self, found: Found, key: str = "consumes") -> list[str]:
        given = found.value.get(key, self._content.get(key))
        return [name for name in given if isinstance(name, str)] if isinstance(given, list) else []

    def _body(self, found: Found, value: Mapping[str, Any], at: str) -> BodyDefinition:
        schema = f"{at}/schema" if "schema" in value else None
        listed_types = [name for name in self._consumes(found) if name not in _FORM_TYPES] or ["application/json"]
        media = [MediaDefinition(content_type=name, kind=kind_of(name), schema=schema) for name in listed_types]
        media.sort(key=lambda one: PREFERENCE[one.kind])
        return BodyDefinition(media=tuple(media), required=value.get("required") is True)

    def _form(self, found: Found, fields: tuple[FieldDefinition, ...]) -> BodyDefinition:
        listed_types = [name for name in self._consumes(found) if kind_of(name) in {"form", "multipart"}]
        if any(field.is_file for field in fields):
            listed_types = [name for name in listed_types if kind_of(name) == "multipart"] or [_FORM_TYPES[1]]
        media = [
            MediaDefinition(content_type=name, kind=kind_of(name), fields=fields, has_all_fields=True)
            for name in listed_types or _FORM_TYPES[:1]
        ]
        media.sort(key=lambda one: PREFERENCE[one.kind])
        return BodyDefinition(media=tuple(media), required=any(field.required for field in fields))

    def answers(self, found: Found, operation_id: str, problems: list[Problem]) -> dict[str, AnswerDefinition]:
        """Return an operation's answers by status."""
        given = found.value.get("responses")
        produced = self._consumes(found, "produces") or ["application/json"]
        answers = {}
        for status, item in given.items() if isinstance(given, dict) else ():
            if status.startswith("x-"):
                continue
            try:
                value, at = self.resolved(item, pointers.join("responses", status, base=found.at))
            except BrokenReference as broken:
                noted(problems, operation_id, broken)
                continue
            answers[status] = _answer(value, at, produced)
        return answers

    def server_path(self, found: Found) -> str:
        """Return the document's base path."""
        return path_of(text(self._content.get("basePath")))


def _name_and_place(value: Any, at: str) -> tuple[str, str]:
    name = value.get("name") if isinstance(value, dict) else None
    place = value.get("in") if isinstance(value, dict) else None
    if not isinstance(name, str) or not name or place not in {*_PLACES, "body", "formData"}:
        raise Unusable(at, "a parameter needs a name, and a place that OpenAPI 2.0 knows; it is left out")
    return ("body", "body") if place == "body" else (name, place)


def _style(value: Mapping[str, Any], usual: str) -> tuple[str, bool]:
    given = value.get("collectionFormat")
    style, explode = _FORMATS.get(given, ("", False)) if isinstance(given, str) else ("", False)
    return style or usual, explode


def _parameter(name: str, place: Any, value: Mapping[str, Any], at: str) -> ParameterDefinition:
    style, explode = _style(value, "form" if place == "query" else "simple")
    return ParameterDefinition(
        name=name,
        location=place,
        required=value.get("required") is True or place == "path",
        style=style,
        explode=explode,
        schema=at if "type" in value or "enum" in value else None,
        description=words(value.get("description")),
    )


def _field(name: str, value: Mapping[str, Any], at: str) -> FieldDefinition:
    style, explode = _style(value, "form")
    is_file = value.get("type") == "file"
    return FieldDefinition(
        name=name,
        style=style,
        explode=explode,
        required=value.get("required") is True,
        is_file=is_file,
        schema=None if is_file or "type" not in value else at,
        description=words(value.get("description")),
    )


def _answer(value: Any, at: str, produced: list[str]) -> AnswerDefinition:
    if not isinstance(value, dict):
        return AnswerDefinition()
    schema, headers = value.get("schema"), value.get("headers")
    media: tuple[MediaDefinition, ...] = ()
    if schema is not None:
        is_file = isinstance(schema, dict) and schema.get("type") == "file"
        pointer = None if is_file else f"{at}/schema"
        example = at if "examples" in value else None
        media = tuple(
            MediaDefinition(
                content_type=name, kind="binary" if is_file else kind_of(name), schema=pointer, example=example
            )
            for name in produced
        )
    found = tuple(_headers(headers, f"{at}/headers")) if isinstance(headers, dict) else ()
    return AnswerDefinition(media=media, headers=found)


def _headers(headers: Mapping[str, Any], at: str) -> Iterator[ParameterDefinition]:
    for name, value in headers.items():
        if isinstance(value, dict):
            style, explode = _style(value, "simple")
            yield ParameterDefinition(
                name=name,
                location="header",
                style=style,
                explode=explode,
                schema=pointers.join(name, base=at) if "type" in value else None,
                description=words(value.get("description")),
            )
