"""Sets of documents: what a document refers to in others is brought into it.

Only members of the set are read; an address elsewhere is never fetched. The result is one document in which the others
stand under the key `x-isthmus-documents`, each whole, and every reference is local, so that circles stay circles.
"""

import io
import posixpath
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import unquote, urlsplit

from callouts.external_services.document import pointers
from callouts.external_services.document.limits import DocumentLimits
from callouts.external_services.document.pages import BUNDLED
from callouts.external_services.document.reading import Document, Source, parse
from callouts.external_services.errors import DocumentRefused, DocumentTooLarge, DocumentUnreadable

__all__ = ["Archive", "DocumentSet", "FetchedSet", "Folder", "bundled"]

_MOST_DOCUMENTS = 1_000


class DocumentSet(Protocol):
    """Documents that belong together."""

    @property
    def name(self) -> str:
        """Of the document that is registered, relative to the others."""

    def read(self, name: str) -> bytes | None:
        """Return the member of a name, or `None` where there is none."""


class Folder:
    """The documents in a folder and below it."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder = folder.resolve()
        self.name = name

    def read(self, name: str) -> bytes | None:
        """Return the file of a name; what lies outside of the folder, also by a link, is not there."""
        path = (self._folder / name).resolve()
        if not path.is_relative_to(self._folder) or not path.is_file():
            return None
        if path.stat().st_size > DocumentLimits().max_bytes:
            raise DocumentTooLarge(f"{name} has {path.stat().st_size} bytes.")
        return path.read_bytes()


class Archive:
    """The documents in a ZIP archive."""

    def __init__(self, given: bytes, name: str = "") -> None:
        """`name`: of the document to register; "": the one that says `openapi` or `swagger`, the topmost of several."""
        try:
            self._archive = zipfile.ZipFile(io.BytesIO(given))
        except zipfile.BadZipFile as error:
            raise DocumentUnreadable("The file is no ZIP archive.") from error
        sizes = [entry.file_size for entry in self._archive.infolist()]
        if sum(sizes) > DocumentLimits().max_bytes or len(sizes) > 10 * _MOST_DOCUMENTS:
            raise DocumentTooLarge("The archive holds more than is read.")
        self.name = name or self._main()

    def read(self, name: str) -> bytes | None:
        """Return the member of a name, or `None`."""
        try:
            return self._archive.read(name)
        except KeyError:
            return None
        except (zipfile.BadZipFile, RuntimeError, NotImplementedError, OSError, ValueError) as error:
            raise DocumentUnreadable(f"{name} cannot be read from the archive.") from error

    def _main(self) -> str:
        names = [name for name in self._archive.namelist() if name.endswith((".json", ".yaml", ".yml"))]
        for name in sorted(names, key=lambda found: (found.count("/"), found)):
            beginning = (self.read(name) or b"")[:64_000]
            if b"openapi" in beginning or b"swagger" in beginning:
                return name
        raise DocumentRefused("The archive holds no OpenAPI document.")


@dataclass(frozen=True)
class FetchedSet:
    """Documents beside the one that was fetched, through the same named credential."""

    name: str
    fetch: Callable[[str], bytes | None]

    def read(self, name: str) -> bytes | None:
        """Fetch the document of a name."""
        return self.fetch(name)


def bundled(document: Document, documents: DocumentSet, limits: DocumentLimits) -> Document:
    """Return a document with all that it refers to in the set. Broken references stay as they are."""
    if not any(_other(reference) for reference in document.references):
        return document
    return _Bundle(document, documents, limits).run()


def _other(reference: str) -> str:
    """Return the document that a reference names; "" is its own, or one that is not ours to read."""
    name = reference.partition("#")[0]
    return "" if not name or urlsplit(name).scheme or name.startswith("//") else unquote(name)


class _Bundle:
    def __init__(self, document: Document, documents: DocumentSet, limits: DocumentLimits) -> None:
        self._document = document
        self._documents = documents
        self._limits = limits
        self._sources: dict[str, Source] = dict(document.sources)
        self._contents: dict[str, Any] = {}
        self._missing: set[str] = set()
        self._waiting: list[tuple[str, Any]] = []
        self._rewritten: set[int] = set()
        self._bytes = 0

    def run(self) -> Document:
        root = posixpath.normpath(self._documents.name)
        self._waiting.append((root, self._document.content))
        while self._waiting:
            name, content = self._waiting.pop()
            self._limits.check_time()
            self._rewrite(name, root, content)
        content = {**self._document.content, BUNDLED: self._contents} if self._contents else self._document.content
        return replace(self._document, content=content, sources=self._sources)

    def _rewrite(self, name: str, root: str, content: Any) -> None:
        waiting = [content]
        while waiting:
            value = waiting.pop()
            if isinstance(value, list):
                waiting.extend(value)
            if not isinstance(value, dict) or id(value) in self._rewritten:
                continue
            self._rewritten.add(id(value))
            reference = value.get("$ref")
            if isinstance(reference, str):
                value["$ref"] = self._local(reference, name, root)
            self._rewrite_mapping(value, name, root)
            waiting.extend(child for child in value.values() if isinstance(child, dict | list))

    def _rewrite_mapping(self, value: Mapping[str, Any], name: str, root: str) -> None:
        """A discriminator's mapping holds references too, unless they are names of schemas."""
        discriminator = value.get("discriminator")
        mapping = discriminator.get("mapping") if isinstance(discriminator, dict) else None
        if isinstance(mapping, dict) and id(mapping) not in self._rewritten:
            self._rewritten.add(id(mapping))
            for key, target in mapping.items():
                if isinstance(target, str) and ("/" in target or "#" in target or "." in target):
                    mapping[key] = self._local(target, name, root)

    def _local(self, reference: str, name: str, root: str) -> str:
        other, _, fragment = reference.partition("#")
        if other and not _other(reference):
            return reference
        target = posixpath.normpath(posixpath.join(posixpath.dirname(name), unquote(other))) if other else name
        if target == root:
            return f"#{fragment}"
        if not self._has(target):
            return reference
        base = pointers.join(BUNDLED, target)
        # A fragment that is no pointer is an anchor, which is found by its name wherever it stands.
        return f"#{base}{fragment}" if not fragment or fragment.startswith("/") else f"#{fragment}"

    def _has(self, name: str) -> bool:
        if name in self._contents:
            return True
        given = None if name in self._missing or name.startswith("../") else self._documents.read(name)
        if given is None:
            self._missing.add(name)
            return False
        self._bytes += len(given)
        self._limits.check_size(self._bytes)
        if len(self._contents) >= _MOST_DOCUMENTS:
            raise DocumentTooLarge(f"The set has more than {_MOST_DOCUMENTS} documents.")
        try:
            content, source = parse(given, self._limits, [])
        except DocumentUnreadable as error:
            raise DocumentUnreadable(f"{name}: {error.message}") from error
        self._contents[name] = content
        self._sources[name] = source
        self._waiting.append((name, content))
        return True
