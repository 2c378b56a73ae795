"""The main job, once, end to end: `python -m examples.demo` (or `make demo`)."""
