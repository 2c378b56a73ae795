"""The bell of an installation with Redis: a short list of rings, of which each wakes one cluster."""

import threading
from typing import Any

from django.conf import settings
from redis import RedisError, from_url
from redis.backoff import NoBackoff
from redis.retry import Retry

from isthmus.jobs.bell_broker import BellBroker
from isthmus.jobs.conf import options
from isthmus.logs import get_logger

__all__ = ["RedisBroker"]

log = get_logger(__name__)

_RINGS_KEPT = 100
"""While nobody hears, more rings than these say nothing new."""
_CONNECT_SECONDS = 1
_ANSWER_SECONDS = 5


class RedisBroker(BellBroker):
    """Rings by pushing to a list, hears by popping from it. While Redis is away, clusters look into the table."""

    @staticmethod
    def get_connection(list_key: str | None = None) -> Any:
        # One try: who enqueues must not wait for a bell that is away.
        return from_url(
            settings.Q_CLUSTER["redis"],
            retry=Retry(NoBackoff(), 0),
            socket_connect_timeout=_CONNECT_SECONDS,
            socket_timeout=_ANSWER_SECONDS,
        )

    def ring(self) -> None:
        with self.connection.pipeline(transaction=False) as pipeline:
            pipeline.rpush(self._key, b"1")
            pipeline.ltrim(self._key, 0, _RINGS_KEPT - 1)
            pipeline.execute()

    def hear(self, timeout_seconds: float) -> bool:
        try:
            return self.connection.blpop([self._key], timeout=timeout_seconds) is not None
        except RedisError as error:
            log.warning("broker.away", error=type(error).__name__)
            threading.Event().wait(options.poll_seconds)
            return False

    def ask(self) -> None:
        self.connection.ping()

    @property
    def _key(self) -> str:
        return f"{self.list_key}:bell"
