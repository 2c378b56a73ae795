"""The app's writes."""

from isthmus.access.actions.permission_sets import assign, ensure_permission_set, grant, revoke, unassign

__all__ = ["assign", "ensure_permission_set", "grant", "revoke", "unassign"]
