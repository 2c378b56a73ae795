"""Compressed bodies, opened piece by piece, so that a small one that becomes huge is noticed early."""

import http.client
import zlib
from collections.abc import Iterator

__all__ = ["Decoder", "decoder_for"]

_PIECE = 64 * 1024


class Decoder:
    """Opens gzip (one member after another) or deflate (with or without the header that it should have)."""

    def __init__(self, coding: str) -> None:
        self._coding = coding
        self._inner = self._new()
        self._is_begun = False
        self._is_raw_possible = coding == "deflate"
        self._first = b""

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Yield what `data` adds, in pieces. Raises `HTTPException` for what is not compressed so."""
        if self._is_raw_possible and not self._is_begun:
            # Two bytes tell whether the header is there.
            data = self._first = self._first + data
            if len(data) < 2:
                return
        while data:
            if self._inner.eof:
                if self._coding != "gzip":
                    return
                self._inner = self._new()
            yield from self._opened(data)
            data = self._inner.unused_data if self._inner.eof else b""

    def end(self) -> None:
        """Say that nothing follows. Raises `HTTPException` when something is missing."""
        if self._is_begun and not self._inner.eof:
            raise http.client.HTTPException("a compressed body that is cut short")

    def _opened(self, data: bytes) -> Iterator[bytes]:
        try:
            piece = self._inner.decompress(data, _PIECE)
        except zlib.error as error:
            if self._is_begun or not self._is_raw_possible:
                raise http.client.HTTPException("a body that is not compressed as it says") from error
            # Some systems leave the header of deflate out (https://www.rfc-editor.org/rfc/rfc9110#section-8.4.1.2).
            self._inner = zlib.decompressobj(-zlib.MAX_WBITS)
            self._is_raw_possible = False
            yield from self._opened(data)
            return
        self._is_begun = True
        while piece:
            yield piece
            try:
                piece = self._inner.decompress(self._inner.unconsumed_tail, _PIECE)
            except zlib.error as error:
                raise http.client.HTTPException("a body that is not compressed as it says") from error

    def _new(self) -> "zlib._Decompress":
        return zlib.decompressobj(16 + zlib.MAX_WBITS if self._coding == "gzip" else zlib.MAX_WBITS)


def decoder_for(content_encoding: str) -> Decoder | None:
    """Return what opens a body; `None` for one that is not compressed, or in a way that nobody asked for."""
    coding = content_encoding.strip().lower()
    if coding in {"gzip", "x-gzip"}:
        return Decoder("gzip")
    return Decoder("deflate") if coding == "deflate" else None
