"""Custom REST endpoints: a Python class becomes a permission-guarded endpoint."""
