"""The pages of external services in the console."""
