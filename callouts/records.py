"""Names the record that a callout is about."""

from django.db.models import Model

from isthmus.objects import record_ids
from isthmus.objects.errors import NoRecordId

__all__ = ["record_id_of"]


def record_id_of(record: str | Model | None) -> str:
    """Return the id under which the log files a record: its 18-character id; "" for none.

    A model that is not exposed as an object has no such id; it is filed as `app.Model:primary key`.
    """
    if record is None or isinstance(record, str):
        return record or ""
    try:
        return record_ids.record_id_of(record)
    except NoRecordId:
        return f"{record._meta.label}:{record.pk}"
