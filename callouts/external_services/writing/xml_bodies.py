"""XML bodies, written and read as a schema's `xml` objects say (https://spec.openapis.org/oas/v3.1.1.html#xml-object).

What is parsed comes from outside: document type definitions, and with them entities, are refused by the parser.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from xml.etree.ElementTree import Element, ParseError, tostring

import defusedxml.ElementTree
from defusedxml.common import DefusedXmlException

from callouts.external_services.document import references
from callouts.external_services.document.pointers import join, parse
from callouts.external_services.document.references import BrokenReference, Pieces

__all__ = ["NotXml", "read", "write"]

_DEEPEST = 100


class NotXml(ValueError):
    """The text is no XML that we read, or the value cannot be written as XML."""


@dataclass(frozen=True)
class _Schema:
    """A schema with what its parts add to it."""

    found: Mapping[str, Any]
    at: str

    @property
    def xml(self) -> Mapping[str, Any]:
        given = self.found.get("xml")
        return given if isinstance(given, dict) else {}

    @property
    def type(self) -> str:
        given = self.found.get("type")
        named = given[0] if isinstance(given, list) and given else given
        if isinstance(named, str):
            return named
        return "object" if "properties" in self.found else "array" if "items" in self.found else ""


def write(pieces: Pieces, pointer: str | None, value: Any) -> bytes:
    """Return a value as an XML document. Raises `NotXml`."""
    writer = _Xml(pieces)
    schema = writer.schema({"$ref": f"#{pointer}"}, "") if pointer else _Schema({}, "")
    name = str(schema.xml.get("name") or _name_of(pointer) or "root")
    elements = writer.elements(schema, name, value, 0)
    if len(elements) != 1:
        raise NotXml("an XML document has one outermost element")
    body: bytes = tostring(elements[0], encoding="utf-8", xml_declaration=True)
    return body


def read(pieces: Pieces, pointer: str | None, text: bytes | str) -> Any:
    """Return what an XML document says, in the types of its schema; without a schema, texts. Raises `NotXml`."""
    try:
        root = defusedxml.ElementTree.fromstring(text, forbid_dtd=True)
    except (ParseError, DefusedXmlException, ValueError) as error:
        raise NotXml("it is no XML, or declares a document type") from error
    reader = _Xml(pieces)
    schema = reader.schema({"$ref": f"#{pointer}"}, "") if pointer else _Schema({}, "")
    return reader.value(schema, [root], 0)


def _name_of(pointer: str | None) -> str:
    parts = parse(pointer) if pointer else []
    return parts[-1] if len(parts) >= 2 and parts[-2] in {"schemas", "definitions"} else ""


def _local(tag: str) -> str:
    return tag.rpartition("}")[2].rpartition(":")[2]


class _Xml:
    def __init__(self, pieces: Pieces) -> None:
        self._pieces = pieces

    def schema(self, given: Any, at: str, depth: int = 0) -> _Schema:
        """Return a schema whose `allOf` is laid together."""
        try:
            found, at = references.resolve(self._pieces, given, f"{at}#")
        except BrokenReference:
            return _Schema({}, at)
        if not isinstance(found, dict):
            return _Schema({}, at)
        parts = found.get("allOf")
        if not isinstance(parts, list) or depth > 5:
            return _Schema(found, at)
        merged: dict[str, Any] = {"type": "object", "properties": {}}
        for index, part in enumerate(parts):
            inner = self.schema(part, join("allOf", index, base=at), depth + 1).found
            merged["properties"].update(inner.get("properties") or {})
            merged.update({key: inner[key] for key in ("xml", "additionalProperties") if key in inner})
        own = {key: found[key] for key in found if key not in {"allOf", "properties"}}
        merged["properties"].update(found.get("properties") or {})
        return _Schema({**merged, **own}, at)

    def _property(self, schema: _Schema, name: str) -> _Schema:
        properties = schema.found.get("properties")
        if isinstance(properties, dict) and name in properties:
            return self.schema(properties[name], join("properties", name, base=schema.at))
        further = schema.found.get("additionalProperties")
        return self.schema(further, join("additionalProperties", base=schema.at)) if further else _Schema({}, "")

    def _items(self, schema: _Schema) -> _Schema:
        return self.schema(schema.found.get("items", {}), join("items", base=schema.at))

    def elements(self, schema: _Schema, name: str, value: Any, depth: int) -> list[Element]:
        """Return the elements that stand for a value."""
        if depth > _DEEPEST:
            raise NotXml("it is nested too deeply")
        if isinstance(value, list):
            items = self._items(schema)
            item_name = str(items.xml.get("name") or name)
            found = [element for item in value for element in self.elements(items, item_name, item, depth + 1)]
            if schema.xml.get("wrapped") is not True:
                return found
            wrapper = self._element(schema, str(schema.xml.get("name") or name))
            wrapper.extend(found)
            return [wrapper]
        element = self._element(schema, str(schema.xml.get("name") or name))
        if isinstance(value, dict):
            for key, inner in value.items():
                child = self._property(schema, key)
                if child.xml.get("attribute") is True:
                    element.set(self._qualified(child, str(child.xml.get("name") or key)), _text(inner))
                else:
                    element.extend(self.elements(child, key, inner, depth + 1))
        elif value is not None:
            element.text = _text(value)
        return [element]

    def _element(self, schema: _Schema, name: str) -> Element:
        element = Element(self._qualified(schema, name))
        namespace, prefix = schema.xml.get("namespace"), schema.xml.get("prefix")
        if isinstance(namespace, str):
            element.set(f"xmlns:{prefix}" if isinstance(prefix, str) and prefix else "xmlns", namespace)
        return element

    @staticmethod
    def _qualified(schema: _Schema, name: str) -> str:
        prefix = schema.xml.get("prefix")
        return f"{prefix}:{name}" if isinstance(prefix, str) and prefix else name

    def value(self, schema: _Schema, elements: list[Element], depth: int) -> Any:
        """Return what elements of one name stand for."""
        if depth > _DEEPEST:
            raise NotXml("it is nested too deeply")
        if schema.type == "array":
            items = self._items(schema)
            inner = elements
            if schema.xml.get("wrapped") is True or (len(elements) == 1 and depth == 0):
                inner = [child for element in elements for child in element]
            return [self.value(items, [element], depth + 1) for element in inner]
        element = elements[-1]
        if schema.type in {"", "object"} and (len(element) or element.attrib or schema.type == "object"):
            return self._object(schema, element, depth)
        if schema.type == "" and len(elements) > 1:
            return [self.value(schema, [one], depth + 1) for one in elements]
        return _typed(element.text or "", schema.type)

    def _object(self, schema: _Schema, element: Element, depth: int) -> dict[str, Any]:
        properties = schema.found.get("properties")
        names = {
            str(self._property(schema, name).xml.get("name") or self._element_name(schema, name)): name
            for name in (properties if isinstance(properties, dict) else {})
        }
        result: dict[str, Any] = {}
        for tag, text in element.attrib.items():
            name = names.get(_local(tag), _local(tag))
            result[name] = _typed(text, self._property(schema, name).type)
        by_tag: dict[str, list[Element]] = {}
        for child in element:
            by_tag.setdefault(_local(child.tag), []).append(child)
        for tag, children in by_tag.items():
            name = names.get(tag, tag)
            result[name] = self.value(self._property(schema, name), children, depth + 1)
        return result

    def _element_name(self, schema: _Schema, name: str) -> str:
        """Return under which tag a property's values stand: of an unwrapped list, that of its items."""
        child = self._property(schema, name)
        if child.type == "array" and child.xml.get("wrapped") is not True:
            return str(self._items(child).xml.get("name") or name)
        return name


def _text(value: Any) -> str:
    return value if isinstance(value, str) else "" if value is None else json.dumps(value)


def _typed(text: str, kind: str) -> Any:
    try:
        if kind == "integer":
            return int(text)
        if kind == "number":
            return float(text)
    except ValueError:
        return text
    if kind == "boolean" and text.strip() in {"true", "1", "false", "0"}:
        return text.strip() in {"true", "1"}
    return text
