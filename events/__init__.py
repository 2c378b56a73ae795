"""Platform events and change data capture: outbox, log, subscribers."""
