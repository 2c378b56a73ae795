"""Commands that start the platform."""
