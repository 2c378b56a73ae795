"""Search across objects: in SOSL, or by parameters.

https://developer.salesforce.com/docs/atlas.en-us.api_rest.meta/api_rest/resources_search_parameterized_get.htm
"""

from collections.abc import Mapping
from typing import Any

from records import sosl
from records.calls import Answer, Call
from records.errors import ParameterRefused, SearchMalformed
from records.routing import resource

__all__: list[str] = []

_FIRST_WITH_OBJECT = 37
"""The version of the API from which on the records found are within an object."""

_OF_OBJECT = ("fields", "where", "orderBy", "limit")
_NARROWING = ("dataCategories", "dataCategory", "pricebookId")


def search(call: Call) -> Answer:
    """Search as a SOSL statement says."""
    text = call.query.get("q", "")
    if not text.strip():
        raise SearchMalformed("No search was given: the parameter q is empty.")
    return _found(call, sosl.parse_search(text))


def search_by_query(call: Call) -> Answer:
    """Search as the parameters of the address say."""
    names = [name.strip() for name in call.query.get("sobject", "").split(",") if name.strip()]
    objects = [{"name": name, **_parameters_of(call.query, name)} for name in names]
    return _found(call, _asked({**call.query, "sobjects": objects}))


def search_by_body(call: Call) -> Answer:
    """Search as the body says."""
    return _found(call, _asked(call.json_object()))


def _found(call: Call, asked: sosl.Search) -> Answer:
    records = sosl.search(call, asked)
    if float(call.version) < _FIRST_WITH_OBJECT:
        return Answer(body=records)
    return Answer(body={"searchRecords": records})


def _parameters_of(query: Mapping[str, str], name: str) -> dict[str, str]:
    given = {key.lower(): value for key, value in query.items()}
    found = {option: given.get(f"{name}.{option}".lower()) for option in _OF_OBJECT}
    return {option: value for option, value in found.items() if value is not None}


def _asked(given: Mapping[str, Any]) -> sosl.Search:
    if refused := [name for name in _NARROWING if given.get(name)]:
        raise ParameterRefused(f"{refused[0]} is not supported.")
    fields, most = _fields(given, "Id"), _number(given, "defaultLimit")
    objects = given.get("sobjects") or []
    if not isinstance(objects, list) or not all(isinstance(one, Mapping) for one in objects):
        raise ParameterRefused("sobjects must be a list of objects.")
    if len(objects) > sosl.MAX_OBJECTS:
        raise SearchMalformed(f"The search names more than {sosl.MAX_OBJECTS} objects.")
    offset = _number(given, "offset")
    if offset and len(objects) != 1:
        raise ParameterRefused("offset needs exactly one object.")
    limit = _number(given, "overallLimit")
    return sosl.Search(
        expression=sosl.plain_expression(_text(given, "q")),
        scope=_scope(_text(given, "in") or "ALL"),
        returned=tuple(_returned(one, fields, most, offset) for one in objects),
        source=_source(fields, {}, most, None),
        limit=sosl.MAX_FOUND if limit is None else limit,
    )


def _returned(given: Mapping[str, Any], fields: str, most: int | None, offset: int | None) -> sosl.Returned:
    name = _text(given, "name")
    if not name:
        raise ParameterRefused("An object of sobjects has no name.")
    own = _number(given, "limit")
    return sosl.Returned(
        object_name=name, source=_source(_fields(given, fields), given, most if own is None else own, offset)
    )


def _source(fields: str, given: Mapping[str, Any], limit: int | None, offset: int | None) -> str:
    """Return as SOSL what is asked of an object."""
    pieces = [fields]
    for word, value in (
        ("WHERE", _text(given, "where")),
        ("ORDER BY", _text(given, "orderBy")),
        ("LIMIT", limit),
        ("OFFSET", offset),
    ):
        if value is not None and value != "":
            pieces.append(f"{word} {value}")
    return " ".join(pieces)


def _fields(given: Mapping[str, Any], usual: str) -> str:
    told = given.get("fields")
    if told is None or told in ("", []):
        return usual
    names = told.split(",") if isinstance(told, str) else told
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ParameterRefused("fields must be a list of names.")
    return ", ".join(name.strip() for name in names)


def _scope(text: str) -> sosl.Scope:
    word = text.strip().upper().removesuffix("FIELDS").strip()
    if word not in set(sosl.Scope):
        raise ParameterRefused(f"in must be one of {', '.join(sosl.Scope)}.")
    return sosl.Scope(word)


def _text(given: Mapping[str, Any], name: str) -> str:
    found = given.get(name)
    if found is not None and not isinstance(found, str):
        raise ParameterRefused(f"{name} must be a text.")
    return found or ""


def _number(given: Mapping[str, Any], name: str) -> int | None:
    found = given.get(name)
    if found is None or found == "":
        return None
    text = str(found)
    if (
        isinstance(found, bool)
        or not (text.isascii() and text.isdigit())
        or len(text) > 9
        or int(text) > sosl.MAX_FOUND
    ):
        raise ParameterRefused(f"{name} must be a number from 0 to {sosl.MAX_FOUND}.")
    return int(text)


resource("search", get=search)
resource("parameterizedSearch", get=search_by_query, post=search_by_body)
