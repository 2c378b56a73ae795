"""Answers read piece by piece: the deadline and the size limit hold until the last one."""

import hashlib
import http.client
from collections.abc import Callable, Iterator
from contextlib import suppress

from callouts.conf import options
from callouts.egress.decoding import decoder_for
from callouts.egress.exchange import AnswerHead
from callouts.egress.passage import Passage, current_passage
from callouts.egress.sockets import Connection, KeptConnections
from callouts.errors import AnswerNotRead, AnswerTooLarge, CalloutError
from callouts.redaction import Described

__all__ = ["StreamedAnswer"]

_PIECE = 64 * 1024


class StreamedAnswer:
    """The body of one answer, still on its connection; what `requests.Response` calls `raw`.

    `on_end` is called once: with what was kept of the body for the log, and the error that ended it (`None`: it came
    whole). An answer that nobody reads to its end or closes keeps its connection until it is forgotten.
    """

    def __init__(
        self,
        head: AnswerHead,
        connection: Connection,
        connections: KeptConnections,
        passage: Passage,
        *,
        at_most_bytes: int,
    ) -> None:
        self._head = head
        self._connection = connection
        self._connections = connections
        self._passage = passage
        self._at_most = at_most_bytes
        self._is_over = False
        self._size = 0
        self._digest = hashlib.sha256()
        self._beginning = bytearray()
        self._left = b""
        self._pieces: Iterator[bytes] | None = None
        self.translate: Callable[[Exception], Exception] = lambda error: error
        self.on_end: Callable[[Described, CalloutError | None], None] = lambda _described, _error: None
        self.headers = head.fields
        self.status = head.status

    def whole(self) -> bytes:
        """Return the whole body, decompressed. Raises `AnswerTooLarge` as soon as that is certain."""
        self._refuse_declared_size()
        if self._head.length is not None and "Content-Encoding" not in self._head.fields:
            content = self._head.read()
        else:
            content = b"".join(self._opened())
        self._give_connection_back()
        return content

    def stream(self, amt: int | None = None, decode_content: bool | None = None) -> Iterator[bytes]:
        """Yield the body in pieces of at most `amt` bytes, decompressed. Raises an error of `callouts.errors`."""
        while piece := self.read(amt or _PIECE):
            yield piece

    def read(self, amt: int | None = None, decode_content: bool | None = None) -> bytes:
        """Return the next bytes, at most `amt` (`None`: all that are left); b"" at the end."""
        if amt is None:
            return b"".join(self.stream(_PIECE))
        if not self._left and not self._is_over:
            self._left = self._next_piece()
        piece, self._left = self._left[:amt], self._left[amt:]
        return piece

    def close(self) -> None:
        """Leave the rest unread; the connection is closed, for nobody knows how much is still to come."""
        if not self._is_over:
            self._end(AnswerNotRead("The answer was closed before its end."))

    def release_conn(self) -> None:
        """Nothing to do: the connection went back with the last piece."""

    def isclosed(self) -> bool:
        """Return whether there is nothing left on the connection."""
        return self._is_over

    def _opened(self) -> Iterator[bytes]:
        """Yield the body piece by piece as it comes, decompressed and counted."""
        decoder = decoder_for(self._head.fields.get("Content-Encoding", ""))
        while data := self._head.read1(_PIECE):
            for piece in decoder.feed(data) if decoder is not None else (data,):
                self._count(piece)
                yield piece
        if not self._head.is_whole():
            raise http.client.IncompleteRead(b"", self._head.length)
        if decoder is not None:
            decoder.end()

    def _next_piece(self) -> bytes:
        token = current_passage.set(self._passage)
        try:
            if self._pieces is None:
                self._refuse_declared_size()
                self._pieces = self._opened()
            piece = next(self._pieces, b"")
        except (http.client.HTTPException, OSError) as error:
            translated = self.translate(error)
            self._end(translated if isinstance(translated, CalloutError) else None)
            raise translated from None
        except CalloutError as error:
            self._end(error)
            raise
        finally:
            current_passage.reset(token)
        if not piece:
            self._end(None)
            return piece
        self._digest.update(piece)
        if len(self._beginning) <= options.log_body_bytes:
            self._beginning += piece[: options.log_body_bytes + 4 - len(self._beginning)]
        return piece

    def _refuse_declared_size(self) -> None:
        declared = self._head.length
        if declared is not None and declared > self._at_most:
            raise AnswerTooLarge(f"The answer is {declared} bytes long; {self._at_most} are read at most.")

    def _count(self, piece: bytes) -> None:
        self._size += len(piece)
        if self._size > self._at_most:
            raise AnswerTooLarge(f"The answer is longer than the {self._at_most} bytes that are read at most.")

    def _end(self, error: CalloutError | None) -> None:
        self._is_over = True
        if error is None:
            self._give_connection_back()
        else:
            self._head.close()
            with suppress(OSError):
                self._connection.close()
        self.on_end(
            Described(beginning=bytes(self._beginning), size=self._size, sha256=self._digest.hexdigest()), error
        )

    def _give_connection_back(self) -> None:
        self._head.close()
        if self._head.will_close:
            with suppress(OSError):
                self._connection.close()
        else:
            self._connections.give_back(self._connection)
