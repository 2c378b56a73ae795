"""Calling the operations of an external service by their names."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from django.contrib.auth.models import AbstractUser
from django.db.models import Model, Q

from callouts.callbacks.handlers import CallbackHandler
from callouts.external_services.actions.call import call
from callouts.external_services.actions.submit import Submission, submit
from callouts.external_services.answers import OperationResponse
from callouts.external_services.errors import HandlerRefused, UnknownExternalService, UnknownOperation
from callouts.external_services.models import ExternalService, Operation

__all__ = ["ExternalServiceClient", "OperationResponse", "external_service"]


def external_service(name: str) -> "ExternalServiceClient":
    """Return the service registered as `name`. Raises `UnknownExternalService`."""
    return ExternalServiceClient(name)


class ExternalServiceClient:
    """A service whose operations are methods: `submit_application(...)`, or as its document has it."""

    def __init__(self, name: str) -> None:
        """Raise `UnknownExternalService` where there is no service `name`, or none of its versions is active."""
        if not ExternalService.objects.filter(name=name, active_version__isnull=False).exists():
            raise UnknownExternalService(f"No external service is registered as {name!r}.")
        self.name = name

    @property
    def operations(self) -> dict[str, str]:
        """The Python names of the operations, and the ids that the document gives them."""
        found = Operation.objects.active().filter(version__service__name=self.name)
        return dict(found.values_list("name", "operation_id"))

    def call(
        self,
        operation: str,
        *,
        body: Any = None,
        parameters: dict[str, Any] | None = None,
        callback: type[CallbackHandler] | None = None,
        callback_timeout: timedelta | None = None,
        reference: str | None = None,
        user: AbstractUser | None = None,
        timeout: float | None = None,
        record: str | Model | None = None,
        **more_parameters: Any,
    ) -> OperationResponse:
        """Call an operation, named by its Python name or its id.

        Parameters are given by name, or in `parameters` where a name is taken. `callback` is required where the answer
        comes back later; `callback_timeout` says how long it is waited for (`None`: 24 hours, unless set otherwise).
        `reference` is the caller's own name for this use: the same reference is the same use, so that repeating it is
        safe; without one an asynchronous use cannot be repeated. `user`, `timeout` (seconds) and `record` as in
        `callouts.http`.
        """
        found = self._operation(operation)
        given = {**(parameters or {}), **more_parameters}
        if not found.is_asynchronous:
            if callback is not None or callback_timeout is not None:
                raise HandlerRefused(f"{found.operation_id} has no callbacks; call it without a handler.")
            return call(
                found, body=body, parameters=given, reference=reference, user=user, timeout=timeout, record=record
            )
        if callback is None:
            raise HandlerRefused(f"{found.operation_id} answers by callback; give it a handler: callback=….")
        asked = Submission(
            body=body,
            parameters=given,
            callback=callback,
            callback_timeout=callback_timeout,
            reference=reference or "",
            user=user,
            timeout=timeout,
            record=record,
        )
        return submit(found, asked)

    def __getattr__(self, name: str) -> Callable[..., OperationResponse]:
        if name.startswith("__"):
            raise AttributeError(name)

        def operation(**arguments: Any) -> OperationResponse:
            return self.call(name, **arguments)

        operation.__name__ = name
        return operation

    def __repr__(self) -> str:
        return f"external_service({self.name!r})"

    def _operation(self, name: str) -> Operation:
        # The version is deferred in part: a document may have megabytes, and what it says is loaded once a process.
        active = Operation.objects.active().filter(version__service__name=self.name)
        related = active.select_related("version__service__named_credential").defer("version__document")
        candidates: list[Operation] = list(related.filter(Q(name=name) | Q(operation_id=name)))
        found = next((candidate for candidate in candidates if candidate.name == name), None)
        if found is None and not candidates:
            raise UnknownOperation(f"{self.name} has no operation {name!r}.")
        return found or candidates[0]
