"""Calling the operations of an external service by their names."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any, Literal

from django.contrib.auth.models import AbstractUser
from django.db.models import Model, Q

from callouts.callbacks.handlers import CallbackHandler
from callouts.external_services import access
from callouts.external_services.actions.call import call
from callouts.external_services.actions.submit import Submission, submit
from callouts.external_services.errors import HandlerRefused, UnknownExternalService, UnknownOperation, UnknownVersion
from callouts.external_services.models import ExternalService, ExternalServiceVersion, Operation
from callouts.external_services.writing import paging
from callouts.external_services.writing.answers import OperationResponse
from callouts.retrying import RetryPolicy

__all__ = ["ExternalServiceClient", "OperationResponse", "external_service"]


def external_service(name: str, *, version: int | None = None) -> "ExternalServiceClient":
    """Return the service registered as `name`, in a version of it; `None` is the active one, at each call.

    Raises `UnknownExternalService` and `UnknownVersion`.
    """
    return ExternalServiceClient(name, version=version)


class ExternalServiceClient:
    """A service whose operations are methods: `submit_application(...)`, or as its document has it."""

    def __init__(self, name: str, *, version: int | None = None) -> None:
        """Raise `UnknownExternalService` where there is no service `name`, or none of its versions is active."""
        if not ExternalService.objects.filter(name=name, active_version__isnull=False).exists():
            raise UnknownExternalService(f"No external service is registered as {name!r}.")
        wanted = ExternalServiceVersion.objects.filter(service__name=name)
        if version is not None and not wanted.filter(number=version).exists():
            raise UnknownVersion(f"{name} has no version {version}.")
        self.name = name
        self._version = version

    @property
    def operations(self) -> dict[str, str]:
        """The Python names of the operations, and the ids that the document gives them."""
        return dict(self._all().values_list("name", "operation_id"))

    def call(
        self,
        operation: str,
        *,
        body: Any = None,
        parameters: dict[str, Any] | None = None,
        content_type: str | None = None,
        callback: type[CallbackHandler] | Literal[False] | None = None,
        callback_timeout: timedelta | None = None,
        reference: str | None = None,
        retry: RetryPolicy | Literal["document"] | None = None,
        user: AbstractUser | None = None,
        timeout: float | None = None,
        record: str | Model | None = None,
        **more_parameters: Any,
    ) -> OperationResponse:
        """Call an operation, named by its Python name or its id.

        Parameters are given by name, or in `parameters` where a name is taken. `content_type` chooses among several
        for the body (`None`: the first that fits it). `callback` is required where the answer comes back later, unless
        it is `False`: then none is waited for; `callback_timeout` says how long it is waited for (`None`: 24 hours,
        unless set otherwise). `reference` is the caller's own name for this use: the same reference is the same use,
        so that repeating it is safe; without one an asynchronous use cannot be repeated. `retry`: when to try again
        while the caller waits, `"document"` as the document says, `None` not at all. `user`, `timeout` (seconds) and
        `record` as in `callouts.http`.
        """
        found = self.operation(operation)
        access.require_call(user, found)
        given = {**(parameters or {}), **more_parameters}
        if callback is None and found.is_asynchronous:
            raise HandlerRefused(f"{found.operation_id} answers by callback; give it a handler: callback=….")
        if not found.callback_contracts and (callback is not None or callback_timeout is not None):
            raise HandlerRefused(f"{found.operation_id} has no callbacks; call it without a handler.")
        if callback and retry is not None:
            raise HandlerRefused("An asynchronous operation is repeated by its reference, not by a ladder.")
        if callback:
            asked = Submission(
                body=body,
                parameters=given,
                content_type=content_type,
                callback=callback,
                callback_timeout=callback_timeout,
                reference=reference or "",
                user=user,
                timeout=timeout,
                record=record,
            )
            return submit(found, asked)
        return call(
            found,
            body=body,
            parameters=given,
            content_type=content_type,
            reference=reference,
            retry=_policy(found) if retry == "document" else retry,
            user=user,
            timeout=timeout,
            record=record,
        )

    def pages(self, operation: str, *, most: int = 1_000, **arguments: Any) -> Iterator[OperationResponse]:
        """Yield the answers of an operation page by page, as its document says that one leads to the next.

        `most`: the greatest number of pages. The arguments are those of the first call. Raises `PagesUnknown` where the
        document says nothing about pages, and what `call` raises.
        """
        found = self.operation(operation)
        return paging.pages(found, lambda given: self.call(operation, **given), arguments, most=most)

    def __getattr__(self, name: str) -> Callable[..., OperationResponse]:
        if name.startswith("__"):
            raise AttributeError(name)

        def operation(**arguments: Any) -> OperationResponse:
            return self.call(name, **arguments)

        operation.__name__ = name
        return operation

    def __repr__(self) -> str:
        version = f", version={self._version}" if self._version is not None else ""
        return f"external_service({self.name!r}{version})"

    def _all(self) -> Any:
        if self._version is None:
            return Operation.objects.active().filter(version__service__name=self.name)
        return Operation.objects.filter(version__service__name=self.name, version__number=self._version)

    def operation(self, name: str) -> Operation:
        """Return an operation by its Python name or its id. Raises `UnknownOperation`."""
        # The version is deferred in part: what its document says is read when it is needed.
        related = self._all().select_related("version__service__named_credential")
        listed = related.defer("version__problems", "version__changes", "version__page_starts", "version__anchors")
        candidates: list[Operation] = list(listed.filter(Q(name=name) | Q(operation_id=name)))
        found = next((candidate for candidate in candidates if candidate.name == name), None)
        if found is None and not candidates:
            raise UnknownOperation(f"{self.name} has no operation {name!r}.")
        return found or candidates[0]


def _policy(operation: Operation) -> RetryPolicy | None:
    """Return the ladder that the document tells, or the quick one where it tells only that waiting helps."""
    told = operation.contract.hints.retry
    if told is None:
        return None
    return RetryPolicy(delays=(0.0, *told.seconds)) if told.seconds else RetryPolicy.quick()
