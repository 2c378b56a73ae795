"""What there is below `/services/data/vNN.0`. Importing this declares every resource, the more special ones first."""

from records.resources import discovery, searching, sobjects

__all__ = ["discovery", "searching", "sobjects"]
