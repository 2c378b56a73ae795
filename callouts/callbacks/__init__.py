"""Answers that come back later: addresses, inbox, handlers."""
