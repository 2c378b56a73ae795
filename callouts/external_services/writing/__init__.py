"""Requests written, and answers read, as a document says."""
