"""The writes: the one door through which every surface writes records."""

from isthmus.objects.actions.write_door import save, upsert_by_reference
from isthmus.objects.results import Operation, SaveError, SaveResult

__all__ = ["Operation", "SaveError", "SaveResult", "save", "upsert_by_reference"]
