"""Callback handlers that tests use. What they do is visible in the database: a contact for each run that counted."""

from callouts.callbacks import Callback, CallbackHandler
from crm.models import Contact


class Outcome(CallbackHandler):
    """Handles two of the three callbacks of the mortgage document."""

    def application_outcome_approved(self, callbacks: list[Callback]) -> None:
        for callback in callbacks:
            Contact.objects.create(last_name=f"approved {callback.response.body['applicationNumber']}")

    def applicationError(self, callbacks: list[Callback]) -> None:
        for callback in callbacks:
            Contact.objects.create(last_name=f"error {callback.response.headers['applicationNumber']}")

    def timed_out(self, callbacks: list[Callback]) -> None:
        for callback in callbacks:
            Contact.objects.create(last_name=f"{callback.status} {callback.reference}")


class Failing(CallbackHandler):
    """Fails after it has written, until the switch is off."""

    is_broken = True

    def application_outcome_approved(self, callbacks: list[Callback]) -> None:
        Contact.objects.create(last_name="approved")
        if type(self).is_broken:
            raise ValueError("the handler's secret trouble")

    def timed_out(self, callbacks: list[Callback]) -> None:
        Contact.objects.create(last_name="timed out")
        if type(self).is_broken:
            raise ValueError("the handler's secret trouble")


class Keeping(CallbackHandler):
    """Keeps what it was given."""

    kept: list[Callback] = []

    def application_outcome_approved(self, callbacks: list[Callback]) -> None:
        self.kept.extend(callbacks)


class Handles(CallbackHandler):
    """Handles nothing of that document."""

    def something_else(self, callbacks: list[Callback]) -> None:
        raise AssertionError


class Repeating(CallbackHandler):
    """Is told of an approval as often as it likes, and does not care for errors."""

    unhandled = "ignore"
    repeated = frozenset({"applicationOutcomeApproved"})

    def application_outcome_approved(self, callbacks: list[Callback]) -> None:
        for callback in callbacks:
            Contact.objects.create(last_name=f"{callback.status} {callback.response.typed.application_number}")

    def application_outcome_rejected(self, callbacks: list[Callback]) -> None:
        pass


class Gathering(CallbackHandler):
    """Takes up to three callbacks at once."""

    batch_size = 3
    sizes: list[int] = []

    def application_outcome_approved(self, callbacks: list[Callback]) -> None:
        self.sizes.append(len(callbacks))
        Contact.objects.bulk_create(
            [Contact(last_name=callback.response.body["applicationNumber"]) for callback in callbacks]
        )
