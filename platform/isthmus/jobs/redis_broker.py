"""django-q2's broker on Redis, made to sit out its absence instead of ending the process."""

import threading
from typing import Any

from django_q.brokers import redis_broker
from redis import RedisError

from isthmus.logs import get_logger

__all__ = ["SteadyRedis"]

log = get_logger(__name__)

_PAUSE_SECONDS = 0.5


_Redis: Any = redis_broker.Redis  # type: ignore[attr-defined]  # redis has a class of the same name


class SteadyRedis(_Redis):  # type: ignore[misc]  # django-q2 has no types
    """Wake-ups as a list in Redis; what is popped and lost, the sweeper repeats."""

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
