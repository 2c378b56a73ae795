"""A handler that does what most do: it writes a row."""

from callouts.callbacks import Callback, CallbackHandler
from crm.models import Contact

__all__ = ["Approved"]


class Approved(CallbackHandler):
    """Makes a contact of an approval."""

    batch_size = 100

    def application_outcome_approved(self, callbacks: list[Callback]) -> None:
        Contact.objects.bulk_create(
            [
                Contact(last_name=callback.response.body["applicationNumber"])
                for callback in callbacks
                if callback.response
            ]
        )
