"""What start-up and operators do with definitions and subscriptions."""

from events.actions.steering import pause, resume, rewind, skip
from events.actions.synchronising import synchronise

__all__ = ["pause", "resume", "rewind", "skip", "synchronise"]
