"""Change capture: the database notes every change of a tracked table in the transaction that makes it.

`triggers/` makes the database do that, on PostgreSQL and on SQLite; `context.py` tells it who acts; `shaping.py` turns
what was noted into `Change`s, which are the same whatever database noted them.
"""

from isthmus.objects.capture.actors import acting_as, acting_origin, acting_user
from isthmus.objects.capture.changes import WHOLE_OBJECT_ID, Change, ChangeType
from isthmus.objects.capture.signals import record_changed

__all__ = [
    "WHOLE_OBJECT_ID",
    "Change",
    "ChangeType",
    "acting_as",
    "acting_origin",
    "acting_user",
    "record_changed",
]
