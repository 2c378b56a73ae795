"""Secrets at rest: the key ring, the encrypted field, rotation."""
