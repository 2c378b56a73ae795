"""Which models are records, how they look from outside, and the one door through which they are written."""
