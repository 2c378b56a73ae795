"""What people type when they look for something."""

from uuid import UUID

__all__ = ["as_uuid"]


def as_uuid(text: str) -> UUID | None:
    """Return the UUID that the text is, or `None` when it is something else."""
    try:
        return UUID(text)
    except ValueError:
        return None
