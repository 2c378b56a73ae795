"""The writes: the door through which every surface writes records."""
