"""Writes: registering documents, calling operations, moving invocations on."""

from callouts.external_services.actions.cancel import cancel
from callouts.external_services.actions.register import RegisteredOperation, RegistrationReport, register

__all__ = ["RegisteredOperation", "RegistrationReport", "cancel", "register"]
