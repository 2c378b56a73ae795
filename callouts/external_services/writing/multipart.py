"""Multipart bodies (https://www.rfc-editor.org/rfc/rfc7578, https://www.rfc-editor.org/rfc/rfc2046#section-5.1)."""

import hashlib
import json
import mimetypes
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import IO, Any

from callouts.external_services.description.definitions import FieldDefinition, MediaDefinition

__all__ = ["Upload", "as_upload", "write"]


@dataclass(frozen=True, kw_only=True)
class Upload:
    """A file to send as a part."""

    content: bytes = field(repr=False)
    filename: str = "file"
    content_type: str = ""
    """"": guessed from the name."""


def as_upload(value: Any) -> Upload | None:
    """Return what is sent for bytes or an open binary file; `None` for a value that is none of both."""
    if isinstance(value, Upload):
        return value
    if isinstance(value, bytes | bytearray | memoryview):
        return Upload(content=bytes(value))
    read = getattr(value, "read", None)
    if callable(read):
        return _of_file(value)
    return None


def _of_file(opened: IO[Any]) -> Upload:
    content = opened.read()
    name = PurePath(str(getattr(opened, "name", "file"))).name
    return Upload(content=content.encode() if isinstance(content, str) else content, filename=name)


def write(media: MediaDefinition, values: Mapping[str, Any]) -> tuple[bytes, str]:
    """Return a body and its content type.

    The boundary is made from the content, so that the same call again has the same bytes.
    """
    parts = [part for name, value in values.items() for part in _parts(media.field_named(name), value)]
    digest = hashlib.sha256()
    for head, content in parts:
        digest.update(head)
        digest.update(content)
    boundary = f"isthmus-{digest.hexdigest()[:40]}".encode()
    body = b"".join(b"--%s\r\n%s\r\n\r\n%s\r\n" % (boundary, head, content) for head, content in parts)
    kind = media.content_type.partition(";")[0].strip()
    kind = "multipart/form-data" if "*" in kind else kind
    return body + b"--%s--\r\n" % boundary, f"{kind}; boundary={boundary.decode()}"


def _parts(field: FieldDefinition, value: Any) -> Iterator[tuple[bytes, bytes]]:
    for item in value if isinstance(value, list | tuple) else [value]:
        upload = as_upload(item)
        if upload is not None:
            guessed = upload.content_type or mimetypes.guess_type(upload.filename)[0] or "application/octet-stream"
            # Where a part may have several types the upload's own is one of them, or the service will say so.
            declared = field.content_type if field.content_type and not set("*,") & set(field.content_type) else ""
            yield _head(field, upload.filename, upload.content_type or declared or guessed), upload.content
        elif isinstance(item, str):
            yield _head(field, "", field.content_type), item.encode()
        else:
            kind = field.content_type or ("application/json" if isinstance(item, dict | list) else "")
            yield _head(field, "", kind), json.dumps(item, separators=(",", ":")).encode()


def _head(field: FieldDefinition, filename: str, content_type: str) -> bytes:
    lines = [f'Content-Disposition: form-data; name="{_quoted(field.name)}"']
    if filename:
        lines[0] += f'; filename="{_quoted(filename)}"'
    if content_type:
        lines.append(f"Content-Type: {content_type.partition(',')[0].strip()}")
    return "\r\n".join(lines).encode()


def _quoted(text: str) -> str:
    # https://html.spec.whatwg.org/multipage/form-control-infrastructure.html#multipart-form-data
    return text.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")
