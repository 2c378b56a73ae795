"""django-q2's broker on Redis, made to sit out its absence instead of ending the process."""

import threading
from typing import Any

from django.conf import settings
from django_q.brokers import redis_broker
from redis import RedisError, from_url
from redis.backoff import NoBackoff
from redis.retry import Retry

from isthmus.logs import get_logger

__all__ = ["SteadyRedis"]

log = get_logger(__name__)

_PAUSE_SECONDS = 0.5
_CONNECT_SECONDS = 1
_ANSWER_SECONDS = 5


_Redis: Any = redis_broker.Redis  # type: ignore[attr-defined]  # redis has a class of the same name


class SteadyRedis(_Redis):  # type: ignore[misc]  # django-q2 has no types
    """Wake-ups as a list in Redis; what is popped and lost, the sweeper repeats."""

    @staticmethod
    def get_connection(list_key: str | None = None) -> Any:
        # One try: the sweeper is the retry, and who enqueues must not wait for a bell that is away.
        return from_url(
            settings.Q_CLUSTER["redis"],
            retry=Retry(NoBackoff(), 0),
            socket_connect_timeout=_CONNECT_SECONDS,
            socket_timeout=_ANSWER_SECONDS,
        )

    def ping(self) -> bool:
        try:
            return bool(super().ping())
        except RedisError as error:
            # A worker starts without Redis: its sweeper and heartbeat work, and Redis may come.
            log.warning("broker.away", error=type(error).__name__)
            return False

    def dequeue(self) -> Any:
        try:
            return super().dequeue()
        except RedisError as error:
            log.warning("broker.away", error=type(error).__name__)
            threading.Event().wait(_PAUSE_SECONDS)
            return None
