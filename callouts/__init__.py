"""Outbound HTTP, the integration log, external services and their callbacks."""
