"""What callouts tell whoever listens, in process."""

from django.dispatch import Signal

__all__ = ["destination_released"]

destination_released = Signal()
"""Sent with `named_credential` when what kept callouts from a destination was mended."""
