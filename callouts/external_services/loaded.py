"""What a process keeps of documents: pages and compiled schemas. Versions never change, so nothing here gets old.

Both are bounded in number, and so in memory, however large the documents are.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any, Generic, TypeVar

from callouts.external_services.conf import options
from callouts.external_services.description.schemas import Direction, SchemaValidator, compile_schema
from callouts.external_services.document.pages import PagedContent, decoded_page
from callouts.external_services.document.references import BrokenReference, Pieces
from callouts.external_services.models import DocumentPage, ExternalServiceVersion
from isthmus.logs import get_logger

__all__ = ["document_of", "forget", "validator_for"]

log = get_logger(__name__)

V = TypeVar("V")
_MOST_DOCUMENTS = 256


class _Kept(Generic[V]):
    """The values that were used last. Two threads may make the same value; they are equal."""

    def __init__(self, most: Callable[[], int]) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._values: OrderedDict[Hashable, V] = OrderedDict()

    def get(self, key: Hashable, make: Callable[[], V]) -> V:
        with self._lock:
            if key in self._values:
                self._values.move_to_end(key)
                return self._values[key]
        made = make()
        with self._lock:
            self._values[key] = made
            while len(self._values) > self._most():
                self._values.popitem(last=False)
        return made

    def clear(self) -> None:
        """Forget all of it."""
        with self._lock:
            self._values.clear()


_documents: _Kept[PagedContent] = _Kept(lambda: _MOST_DOCUMENTS)
_pages: _Kept[dict[str, Any]] = _Kept(lambda: options.cached_pages)
_validators: _Kept[SchemaValidator | None] = _Kept(lambda: options.cached_validators)


def document_of(version: ExternalServiceVersion) -> Pieces:
    """Return a version's document, which reads what it is asked for."""
    # Not by the digest alone: rows of a version that is rolled back in a transaction are not there for the next one.
    return _documents.get((version.pk, version.digest), lambda: _paged(version))


def _paged(version: ExternalServiceVersion) -> PagedContent:
    pk, digest = version.pk, version.digest
    made = ExternalServiceVersion.objects.only("page_starts", "anchors").get(pk=pk)

    def read(number: int) -> dict[str, Any]:
        text = DocumentPage.objects.values_list("pieces", flat=True).get(version_id=pk, number=number)
        return decoded_page(text)

    def load(number: int) -> dict[str, Any]:
        return _pages.get((pk, digest, number), lambda: read(number))

    return PagedContent(made.page_starts, load, made.anchors)


def validator_for(version: ExternalServiceVersion, pointer: str, direction: Direction) -> SchemaValidator | None:
    """Return the validator of the schema at `pointer`; `None` where none can be made, so that the service judges."""

    def make() -> SchemaValidator | None:
        try:
            return compile_schema(document_of(version), pointer, dialect=version.dialect, direction=direction)
        except BrokenReference as broken:
            log.warning("external_service.schema_unusable", version=version.pk, pointer=pointer, reason=broken.reason)
            return None

    return _validators.get((version.pk, version.digest, pointer, direction), make)


def forget() -> None:
    """Forget everything, as a new process would have it."""
    for kept in (_documents, _pages, _validators):
        kept.clear()
