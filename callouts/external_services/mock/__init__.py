"""Doubles of external services, made from their documents."""
