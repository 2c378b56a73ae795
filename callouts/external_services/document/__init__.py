"""Documents: read, brought together, cut into pages, looked up by pointers."""
