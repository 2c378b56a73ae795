"""XML in place of JSON: the same values, read by what a method's parameters are, written element by element.

The form is that of Apex REST: `<request>` around the parameters or the fields of the only one, `<response>` around the
answer, one element for each field, repeated for lists, `xsi:nil="true"` for null. Keys that are no XML names are
written as `<entry key="…">`.
"""

import dataclasses
import re
import typing
from collections.abc import Mapping
from typing import Any
from xml.etree.ElementTree import Element, ParseError, SubElement, register_namespace, tostring

from defusedxml import ElementTree as SafeElementTree
from defusedxml.common import DefusedXmlException

from apexrest.errors import AnswerUnserialisable, BodyUnreadable
from apexrest.json_bodies import JsonValue
from apexrest.parsing import is_optional, item_of_list, without_none
from apexrest.texts import from_text

__all__ = ["dumps", "read", "to_element", "without_foreign"]

_XSI = "http://www.w3.org/2001/XMLSchema-instance"
_NIL = f"{{{_XSI}}}nil"
register_namespace("xsi", _XSI)

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
_NUMBER = re.compile(r"[+-]?([0-9]{1,100}(\.[0-9]{0,100})?|\.[0-9]{1,100})([eE][+-]?[0-9]{1,3})?")
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_ENTRY = "entry"


def read(body: bytes, parameters: Mapping[str, Any], envelope: str | None, *, max_depth: int) -> JsonValue:
    """Return what `body` holds as the JSON value that means the same to these parameters (name → annotation).

    Raises `BodyUnreadable` for anything but one XML document without a document type, nested at most `max_depth` deep.
    What has the wrong type stays a text, for the parser to tell.
    """
    try:
        root = SafeElementTree.fromstring(body, forbid_dtd=True)
    except DefusedXmlException as error:
        raise BodyUnreadable("The request body has a document type, which is not taken here.") from error
    except ParseError as error:
        line, column = error.position
        raise BodyUnreadable(f"The request body is not XML at [line:{line}, column:{column + 1}]") from error
    except (LookupError, ValueError) as error:
        raise BodyUnreadable("The request body is in an encoding that is not known here.") from error
    _check_depth(root, max_depth)
    if len(parameters) == 1:
        ((name, annotation),) = parameters.items()
        if envelope is not None and [_local(child) for child in root] == [name]:
            return {name: _value(root[0], annotation)}
        return _value(root, annotation)
    return _members(root, parameters)


def dumps(value: JsonValue, root: str = "response") -> bytes:
    """Return plain JSON values as an XML document in UTF-8. Raises `AnswerUnserialisable` for characters XML lacks."""
    written: bytes = tostring(to_element(root, value), encoding="UTF-8", xml_declaration=True)
    return written


def to_element(name: str, value: JsonValue) -> Element:
    """Return the element `name` that holds `value`."""
    element = Element(name)
    _fill(element, value)
    return element


def without_foreign(text: str) -> str:
    """Return the text without the characters that XML cannot hold."""
    return _NOT_XML.sub("\N{REPLACEMENT CHARACTER}", text)


# --- reading --------------------------------------------------------------------------------------------------------


def _check_depth(root: Element, max_depth: int) -> None:
    waiting = [(root, 1)]
    while waiting:
        element, depth = waiting.pop()
        if depth > max_depth:
            raise BodyUnreadable(f"The request body is nested more than {max_depth} levels deep.")
        waiting.extend((child, depth + 1) for child in element)


def _value(element: Element, annotation: Any) -> JsonValue:
    if typing.get_origin(annotation) is typing.Annotated:
        annotation = typing.get_args(annotation)[0]
    if element.get(_NIL) in {"true", "1"}:
        return [] if typing.get_origin(annotation) is list else None
    annotation = without_none(annotation)
    if isinstance(annotation, type) and dataclasses.is_dataclass(annotation):
        return _members(element, typing.get_type_hints(annotation))
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is list:
        # A list that is the whole body: one element for each item, whatever its name.
        return [_value(child, arguments[0]) for child in element]
    if origin is dict:
        return {_key(child): _value(child, arguments[1]) for child in element}
    if len(element):
        return {_key(child): _value(child, Any) for child in element}
    return _scalar(element.text or "", annotation)


def _members(element: Element, annotations: Mapping[str, Any]) -> dict[str, JsonValue]:
    by_name: dict[str, list[Element]] = {}
    for child in element:
        by_name.setdefault(_key(child), []).append(child)
    if (element.text or "").strip() and not by_name:
        return {"#text": element.text}
    return {name: _member(children, annotations.get(name, str)) for name, children in by_name.items()}


def _member(children: list[Element], annotation: Any) -> JsonValue:
    inner = item_of_list(annotation)
    if inner is not None:
        if len(children) == 1 and children[0].get(_NIL) in {"true", "1"}:
            return None if is_optional(annotation) else []
        return [_value(child, inner) for child in children]
    if len(children) > 1:
        # Only a list may repeat; the parser says so.
        return [_value(child, annotation) for child in children]
    return _value(children[0], annotation)


def _scalar(text: str, annotation: Any) -> JsonValue:
    # Blanks around a value mean nothing (XML Schema's `collapse`), those of a text are its own.
    return text if annotation in (str, Any, object) else from_text(text.strip(), annotation, numbers=_NUMBER)


def _key(element: Element) -> str:
    name = _local(element)
    return element.get("key", name) if name == _ENTRY else name


def _local(element: Element) -> str:
    return str(element.tag).rpartition("}")[2]


# --- writing --------------------------------------------------------------------------------------------------------


def _fill(element: Element, value: JsonValue) -> None:
    if value is None:
        element.set(_NIL, "true")
    elif isinstance(value, Mapping):
        for key, item in value.items():
            _append(element, key, item)
    elif isinstance(value, list):
        for item in value:
            _fill(SubElement(element, element.tag), item)
    elif isinstance(value, bool):
        element.text = "true" if value else "false"
    else:
        element.text = _text(str(value))


def _append(parent: Element, key: str, value: JsonValue) -> None:
    items = value if isinstance(value, list) else [value]
    for item in items:
        is_name = _NAME.fullmatch(key)
        child = SubElement(parent, key) if is_name else SubElement(parent, _ENTRY, {"key": _text(key)})
        _fill(child, item)


def _text(text: str) -> str:
    if _NOT_XML.search(text):
        raise AnswerUnserialisable("The answer has a character that cannot be written as XML; ask for JSON.")
    return text
