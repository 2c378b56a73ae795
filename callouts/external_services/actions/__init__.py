"""Writes: registering documents, calling operations, moving invocations on."""

from callouts.external_services.actions.activate import activate
from callouts.external_services.actions.cancel import cancel
from callouts.external_services.actions.connect import Connected, connect
from callouts.external_services.actions.extend import extend
from callouts.external_services.actions.register import RegisteredOperation, RegistrationReport, register

__all__ = [
    "Connected",
    "RegisteredOperation",
    "RegistrationReport",
    "activate",
    "cancel",
    "connect",
    "extend",
    "register",
]
