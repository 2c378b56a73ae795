"""An app for processes under test: their egress gate dies, once each, where the address says so."""
