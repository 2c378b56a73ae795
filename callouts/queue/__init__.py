"""Callouts that leave after the commit: a queue with retries, order, limits per destination, dead letters, batches."""
