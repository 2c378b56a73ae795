"""A signal for code of this process that wants to know of changes, and needs no event for it."""

from collections.abc import Iterable, Mapping, Sequence

from django.db import models, transaction
from django.dispatch import Signal

from isthmus.objects import catalogue
from isthmus.objects.capture.changes import ChangeType
from isthmus.objects.record_ids import encode

__all__ = ["is_wanted", "record_changed", "send_after_commit"]

record_changed = Signal()
"""Sent after the commit, in the process that wrote through Django's ORM, once a statement (a purge: once a record).

`sender` is the model. `object_name`: the API name. `record_ids`: of 18 characters, in order. `change_type`: CREATE,
UPDATE, DELETE or UNDELETE. `changed_fields`: API names of what an UPDATE assigned, `None` for other types. What a
receiver raises is logged and keeps no other receiver. SQL past the ORM and other processes are not heard here: for
them there are change events.
"""


def is_wanted(model: type[models.Model]) -> bool:
    """Return whether anybody listens for changes of this model."""
    return record_changed.has_listeners(model)


def send_after_commit(
    model: type[models.Model],
    pks: Sequence[int],
    change_type: ChangeType,
    using: str,
    *,
    attnames: Iterable[str] | None = None,
) -> None:
    """Tell of these rows when the open transaction has committed; at once outside one."""
    object_type = catalogue.object_of_model(model)
    if object_type is None or not pks or not is_wanted(model):
        return
    names = None
    if attnames is not None:
        written = set(attnames)
        names = [field.api_name for field in object_type.fields if field.attname in written]
    told = {
        "object_name": object_type.api_name,
        "record_ids": [encode(object_type.key_prefix, pk) for pk in pks],
        "change_type": change_type,
        "changed_fields": names,
    }
    transaction.on_commit(lambda: _send(model, told), using=using)


def _send(model: type[models.Model], told: Mapping[str, object]) -> None:
    # Robust: the change is committed, and no receiver may make it look as if it had failed. Django logs what it raises.
    record_changed.send_robust(sender=model, **told)
