"""What there is below `/services/data/vNN.0`. Importing this declares every resource, the more special ones first."""

from records.resources import discovery, limits, changes, recent, actions, event_schemas, sobjects, related  # isort: skip

__all__ = ["actions", "changes", "discovery", "event_schemas", "limits", "recent", "related", "sobjects"]
