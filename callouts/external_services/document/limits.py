"""How much of a document is read before it is refused."""

from dataclasses import dataclass, field

from callouts.external_services.conf import options
from callouts.external_services.errors import DocumentTooLarge
from isthmus import clock

__all__ = ["DocumentLimits"]


@dataclass(kw_only=True, slots=True)
class DocumentLimits:
    """The limits for one document. The time starts when the object is made."""

    max_bytes: int = field(default_factory=lambda: options.document_max_bytes)
    max_depth: int = field(default_factory=lambda: options.document_max_depth)
    """Levels of nesting."""
    max_nodes: int = field(default_factory=lambda: options.document_max_nodes)
    """Values, each use of a YAML alias counted in full."""
    max_seconds: float = field(default_factory=lambda: options.document_max_seconds)
    _started_at: float = field(default_factory=clock.monotonic_seconds)

    @property
    def seconds_used(self) -> float:
        return clock.monotonic_seconds() - self._started_at

    def check_size(self, size: int) -> None:
        """Raise `DocumentTooLarge` if a document of `size` bytes is not read."""
        if size > self.max_bytes:
            raise DocumentTooLarge(f"The document has {size} bytes; at most {self.max_bytes} are read.")

    def check_depth(self, depth: int) -> None:
        """Raise `DocumentTooLarge` beyond the deepest level."""
        if depth > self.max_depth:
            raise DocumentTooLarge(f"The document is nested deeper than {self.max_depth} levels.")

    def check_nodes(self, count: int) -> None:
        """Raise `DocumentTooLarge` beyond the greatest number of values."""
        if count > self.max_nodes:
            raise DocumentTooLarge(f"The document has more than {self.max_nodes} values.")

    def check_time(self) -> None:
        """Raise `DocumentTooLarge` when the time is up; long loops ask every now and then."""
        if self.seconds_used > self.max_seconds:
            raise DocumentTooLarge(f"The document could not be read within {self.max_seconds:g} seconds.")
