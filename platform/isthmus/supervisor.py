"""Starts the platform's processes and keeps them running: web, worker, bus."""
