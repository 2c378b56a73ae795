"""What others may want to know of the vault, which itself knows nobody."""

from django.dispatch import Signal

__all__ = ["key_made", "keys_rotated"]

key_made = Signal()
"""A key was made. Arguments: `key_id`, `provider`."""
keys_rotated = Signal()
"""A rotation came to its end. Arguments: `primary` (key id), `resealed` (texts by column), `broken` (how many)."""
