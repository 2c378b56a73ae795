"""Bodies in several parts: the fields of a record as JSON, and its blobs as they are.

Salesforce: https://developer.salesforce.com/docs/atlas.en-us.api_rest.meta/api_rest/dome_sobject_insert_update_blob.htm
"""

from io import BytesIO
from typing import Any

from django.core.exceptions import SuspiciousOperation
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.files.uploadhandler import FileUploadHandler
from django.http.multipartparser import MultiPartParser, MultiPartParserError

from records.calls import json_value
from records.errors import BodyRefused

__all__ = ["is_multipart", "read_fields"]

_JSON = "application/json"


def is_multipart(content_type: str) -> bool:
    """Return whether a body of this type has several parts."""
    return content_type.strip().lower().startswith("multipart/form-data")


def read_fields(content_type: str, body: bytes) -> dict[str, Any]:
    """Return the fields of the JSON part, and bytes for each part that has a file name, under the part's name.

    Raises `BodyRefused`, also when a field comes twice.
    """
    given = {"CONTENT_TYPE": content_type, "CONTENT_LENGTH": str(len(body))}
    try:
        texts, files = MultiPartParser(given, BytesIO(body), [_Bytes()]).parse()
    except (MultiPartParserError, SuspiciousOperation) as error:
        raise BodyRefused("The parts of the request body cannot be read.") from error
    documents = [text.encode() for name in texts for text in texts.getlist(name)]
    blobs: list[tuple[str, bytes]] = []
    for name in files:
        for file in files.getlist(name):
            content = file.read()
            if file.content_type == _JSON:
                documents.append(content)
            else:
                blobs.append((name, content))
    if len(documents) != 1:
        raise BodyRefused("The request body takes one part with the fields as JSON, and one for each blob.")
    fields = json_value(documents[0])
    if not isinstance(fields, dict):
        raise BodyRefused
    for name, content in blobs:
        if any(known.lower() == name.lower() for known in fields):
            raise BodyRefused(f"The field {name[:80]} is in the request body twice.")
        fields[name] = content
    return fields


class _Bytes(FileUploadHandler):
    """Keeps a part in memory; the body as a whole is there already."""

    def new_file(self, *args: Any, **kwargs: Any) -> None:
        super().new_file(*args, **kwargs)
        self._chunks: list[bytes] = []

    def receive_data_chunk(self, raw_data: bytes, start: int) -> None:
        self._chunks.append(raw_data)

    def file_complete(self, file_size: int) -> SimpleUploadedFile:
        return SimpleUploadedFile(self.file_name or "", b"".join(self._chunks), self.content_type or "")
