"""Answers that come back later: addresses, inbox, handlers."""

from callouts.callbacks.handlers import Callback, CallbackHandler, CallbackResponse

__all__ = ["Callback", "CallbackHandler", "CallbackResponse"]
