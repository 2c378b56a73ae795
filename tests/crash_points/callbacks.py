"""A handler that kills its process, once for each reason."""

import os
import signal
from pathlib import Path

from callouts.callbacks import Callback, CallbackHandler
from crm.models import Contact

__all__ = ["Deadly"]


class Deadly(CallbackHandler):
    """Writes a contact; dies after that, before anything is committed, where a callback asks for it."""

    def done(self, callbacks: list[Callback]) -> None:
        for callback in callbacks:
            Contact.objects.create(last_name=callback.reference)
            body = callback.response.body if callback.response else {}
            died = Path(os.environ["ISTHMUS_DATA_DIR"]) / "died-in-handler"
            if body.get("die") and not died.exists():
                died.parent.mkdir(parents=True, exist_ok=True)
                died.touch()
                os.kill(os.getpid(), signal.SIGKILL)
