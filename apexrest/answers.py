"""What is sent back."""

from dataclasses import dataclass, field

__all__ = ["Answer"]


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What is sent back."""

    status: int
    content: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    """`Content-Type` among them, if there is content."""
