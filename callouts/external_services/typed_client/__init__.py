"""Typed Python clients, written from documents."""

from callouts.external_services.typed_client.module import module_for

__all__ = ["module_for"]
