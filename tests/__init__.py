"""Tests by kind: unit (no database), integration (a database, real servers), acceptance (the platform's processes)."""
