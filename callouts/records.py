"""Names the record that a callout is about."""

from django.db.models import Model

__all__ = ["record_id_of"]


def record_id_of(record: str | Model | None) -> str:
    """Return the id under which the log files a record: its 18-character id; "" for none."""
    if record is None or isinstance(record, str):
        return record or ""
    return str(getattr(record, "record_id", record.pk))
