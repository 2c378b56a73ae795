"""Request bodies that are read from files or iterators: kept aside in bounded memory, sent as often as need be.

A callout is logged, signed, sent again after a token was refreshed and redirected; so its body must be there more than
once, with its length. What is read comes into memory up to one mebibyte and into a temporary file beyond. The
connection is made only when all is read: a slow source never holds up the other side.
"""

import hashlib
from collections.abc import Iterable, Iterator
from tempfile import SpooledTemporaryFile
from typing import IO, Any

from callouts.errors import BodyTooLarge, InvalidCallout
from callouts.redaction import Described

__all__ = ["SpooledBody", "is_readable"]

_PIECE = 64 * 1024
_IN_MEMORY = 1024 * 1024


class SpooledBody:
    """A body of known length that can be read from its start again. A file, as far as HTTP clients ask."""

    def __init__(self, source: "IO[bytes] | Iterable[bytes]", *, at_most_bytes: int) -> None:
        """Read all of `source`, from where a file stands. Raises `BodyTooLarge` and `InvalidCallout`."""
        self._file = SpooledTemporaryFile(max_size=_IN_MEMORY)  # noqa: SIM115 - closed with the body
        self._size = 0
        digest = hashlib.sha256()
        try:
            for piece in _pieces(source):
                self._size += len(piece)
                if self._size > at_most_bytes:
                    raise BodyTooLarge(
                        f"The request body has more than the {at_most_bytes} bytes that are sent at most."
                    )
                digest.update(piece)
                self._file.write(piece)
        except BaseException:
            self._file.close()
            raise
        self.sha256 = digest.hexdigest()
        self.rewind()

    def __len__(self) -> int:
        return self._size

    def __bool__(self) -> bool:
        return self._size > 0

    def read(self, size: int = -1) -> bytes:
        """Return the next bytes, at most `size`; all that are left for a negative one."""
        return self._file.read(size)

    def seek(self, offset: int, whence: int = 0) -> int:
        """Move within the body, as files do."""
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        """Return how far it was read."""
        return self._file.tell()

    def rewind(self) -> None:
        """Go to the start."""
        self._file.seek(0)

    def close(self) -> None:
        """Let go of it."""
        self._file.close()

    def described(self, at_most_bytes: int) -> Described:
        """Return its beginning, size and hash; where it was read to does not change."""
        position = self.tell()
        self.rewind()
        beginning = self.read(at_most_bytes + 4)
        self.seek(position)
        return Described(beginning=beginning, size=self._size, sha256=self.sha256)


def is_readable(data: object) -> bool:
    """Return whether `data` is a file or an iterator, to be read before it can be sent."""
    return hasattr(data, "read") or isinstance(data, Iterator)


def _pieces(source: Any) -> Iterator[bytes]:
    given: Iterable[Any] = iter(lambda: source.read(_PIECE), b"") if hasattr(source, "read") else source
    for piece in given:
        if not isinstance(piece, bytes | bytearray | memoryview):
            raise InvalidCallout("A file or iterator that is sent gives bytes; open files in binary mode.")
        yield bytes(piece)
