"""What is asked about operations, invocations and received callbacks."""

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from django.db import models

if TYPE_CHECKING:
    from callouts.external_services.models import (
        CallbackReceipt,  # noqa: F401 - ruff does not see it in the base class's brackets
        Invocation,  # noqa: F401 - ruff does not see it in the base class's brackets
        Operation,  # noqa: F401 - ruff does not see it in the base class's brackets
    )

__all__ = ["InvocationQuerySet", "OperationQuerySet", "ReceiptQuerySet"]

_OPEN = ("Submitted", "Waiting")


class OperationQuerySet(models.QuerySet["Operation"]):
    """Operations."""

    def active(self) -> "OperationQuerySet":
        """Return the operations of the versions that are in use."""
        return self.filter(version=models.F("version__service__active_version"))


class InvocationQuerySet(models.QuerySet["Invocation"]):
    """Invocations."""

    def waiting(self) -> "InvocationQuerySet":
        """Return those that are not finished: a callback may still come."""
        return self.filter(state__in=_OPEN)

    def in_doubt(self) -> "InvocationQuerySet":
        """Return those whose request left and whose first answer is not known."""
        return self.filter(state="Submitted", last_sent_at__isnull=False)

    def expired(self, at: datetime) -> "InvocationQuerySet":
        """Return the unfinished ones whose time was up at `at`."""
        return self.waiting().filter(expires_at__lte=at)


class ReceiptQuerySet(models.QuerySet["CallbackReceipt"]):
    """Received callbacks."""

    def accepted(self) -> "ReceiptQuerySet":
        """Return those that were accepted and whose handler has not run to its end yet."""
        return self.filter(state__in=("received", "failed"))

    def unknown_since(self, moment: datetime, within: timedelta) -> "ReceiptQuerySet":
        """Return those that named no invocation of ours in the time `within` before `moment`."""
        return self.filter(state="unknown", invocation__isnull=True, received_at__gt=moment - within)
