"""Change capture: every change of a record is handed to the sinks inside the transaction that makes it.

The interface is `Change` and the sinks. `orm.py` implements it for whatever goes through Django's ORM, on every
database.
"""

from isthmus.objects.capture.actors import acting_as, acting_origin, acting_user
from isthmus.objects.capture.changes import WHOLE_OBJECT_ID, Change, ChangeType
from isthmus.objects.capture.sinks import Sink, register_sink, register_sink_temporarily

__all__ = [
    "WHOLE_OBJECT_ID",
    "Change",
    "ChangeType",
    "Sink",
    "acting_as",
    "acting_origin",
    "acting_user",
    "register_sink",
    "register_sink_temporarily",
]
