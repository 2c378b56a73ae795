"""Handlers of answers that come back later.

A handler is a class in an app's `callbacks.py`, one method for each callback of the operation's document. Methods are
named as in the document or in snake case:

    class ApplicationOutcome(CallbackHandler):
        def application_outcome_approved(self, callbacks: list[Callback]) -> None: ...
        def timed_out(self, callbacks: list[Callback]) -> None: ...

A method runs in the transaction that completes the invocation: its effects in the database and the state change
commit together or not at all. It may run again when that transaction failed, so effects elsewhere are enqueued.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar, Literal
from uuid import UUID

from django.utils.module_loading import import_string

from callouts.external_services.description.names import snake_case
from callouts.external_services.errors import HandlerRefused
from callouts.external_services.writing.typed_views import viewed

__all__ = ["Callback", "CallbackHandler", "CallbackResponse", "Method", "handler_path", "load_handler"]

Method = Callable[[list["Callback"]], None]


@dataclass(frozen=True, kw_only=True, slots=True)
class CallbackResponse:
    """What the outside sent to a callback's address."""

    body: Any
    """Parsed; `None` where there was none."""
    headers: Mapping[str, str]
    """The headers that the document declares for the callback, and the content type."""
    method: str = ""

    @property
    def typed(self) -> Any:
        """The body with its fields as attributes, as they are named or in snake case."""
        return viewed(self.body)


@dataclass(frozen=True, kw_only=True, slots=True)
class Callback:
    """One callback as its handler receives it; for `timed_out`, the one that did not come."""

    invocation_id: UUID
    reference: str
    request: Mapping[str, Any]
    """The arguments of the call, redacted as in the log."""
    submit_time: datetime
    callback_timeout: datetime
    """Until when a callback was waited for."""
    status: str
    """`Completed`; `Waiting` for one that may come again; `TimedOut` for one that did not come, or came too late and
    was routed by hand."""
    response: CallbackResponse | None = None
    """What came back; `None` for one that did not come."""
    first_response: Any = None
    """The body of the operation's first answer; `None` where it has not been stored (yet)."""
    correlation_id: str = ""


class CallbackHandler:
    """Base of all callback handlers. An instance lives for one call of one method."""

    unhandled: ClassVar[Literal["error", "ignore"]] = "error"
    """What becomes of a callback that the handler has no method for: the outside is told 404, or 200."""
    repeated: ClassVar[frozenset[str]] = frozenset()
    """Names of callbacks that may come several times and do not end the invocation, besides those of which the
    document says so (`x-isthmus-repeats: true`)."""

    batch_size: ClassVar[int] = 1
    """How many callbacks of different invocations a method takes at once, at most, when they come at once. Then it acts
    under the correlation id of the first."""

    def timed_out(self, callbacks: list[Callback]) -> None:
        """React to callbacks that did not come in time. The default does nothing: the state says enough."""

    def method_for(self, callback_name: str) -> Method | None:
        """Return the method that handles a callback, or `None` where the handler leaves it unhandled."""
        for name in (callback_name, snake_case(callback_name)):
            if not name.startswith("_") and name not in _RESERVED:
                found = getattr(self, name, None)
                if callable(found):
                    method: Method = found
                    return method
        return None


_RESERVED = frozenset({"batch_size", "method_for", "repeated", "timed_out", "unhandled"})


def handler_path(handler: type[CallbackHandler], callback_names: Sequence[str]) -> str:
    """Return the dotted path under which `handler` is found again.

    Raises `HandlerRefused` for what is no handler, cannot be found again, or handles none of `callback_names`.
    """
    if not (isinstance(handler, type) and issubclass(handler, CallbackHandler)):
        raise HandlerRefused(f"{handler!r} is not a subclass of CallbackHandler.")
    path = f"{handler.__module__}.{handler.__qualname__}"
    if load_handler(path) is not handler:
        raise HandlerRefused(f"{path} names another class; a handler lives at the top of a module.")
    instance = handler()
    if not any(instance.method_for(name) for name in callback_names):
        wanted = " or ".join(snake_case(name) for name in callback_names)
        raise HandlerRefused(f"{path} handles no callback of this operation; give it a method {wanted}.")
    return path


def load_handler(path: str) -> type[CallbackHandler]:
    """Return the handler at a dotted path. Raises `HandlerRefused` where there is none."""
    try:
        found = import_string(path)
    except ImportError as error:
        raise HandlerRefused(f"The callback handler {path} is not there.") from error
    if not (isinstance(found, type) and issubclass(found, CallbackHandler)):
        raise HandlerRefused(f"{path} is not a subclass of CallbackHandler.")
    return found
