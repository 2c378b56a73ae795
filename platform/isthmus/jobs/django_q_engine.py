"""django-q2 as the bell: on the database by default, on Redis with `ISTHMUS_BROKER_URL`."""

from functools import cache
from typing import cast

from django_q.brokers import get_broker

from isthmus.jobs.bell_broker import BellBroker
from isthmus.logs import get_logger

__all__ = ["DjangoQBell"]

log = get_logger(__name__)


class DjangoQBell:
    """Rings the bell of django-q2's broker."""

    def ring(self) -> None:
        try:
            _broker().ring()
        except Exception as error:  # noqa: BLE001 - each broker fails in its own way; idle workers look for themselves
            log.warning("job.bell_not_rung", error=type(error).__name__)

    def ask(self) -> None:
        _broker().ask()


@cache
def _broker() -> BellBroker:
    return cast("BellBroker", get_broker())
