"""An app with REST endpoints, as a user of the platform would write it."""
