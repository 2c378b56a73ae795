"""What can go wrong with events.

EventError
├── UnknownEvent            no such platform event
├── UnknownTopic            no such topic
├── EventRefused            the payload is not what the definition says (every problem at once)
├── ReplayIdExpired         events after that replay id are no longer kept
├── InvalidDefinition       a platform event is declared wrongly
└── InvalidSubscriber       a subscriber is declared wrongly
"""

from collections.abc import Sequence
from dataclasses import dataclass

from isthmus.errors import IsthmusError

__all__ = [
    "EventError",
    "EventRefused",
    "InvalidDefinition",
    "InvalidSubscriber",
    "PayloadProblem",
    "ReplayIdExpired",
    "SubscriberBrokeTransaction",
    "UnknownEvent",
    "UnknownTopic",
]


class EventError(IsthmusError):
    """Something about events is refused."""


class UnknownEvent(EventError):
    """There is no platform event of that name."""

    code = "NOT_FOUND"
    status = 404


class UnknownTopic(EventError):
    """There is no topic of that name."""

    code = "NOT_FOUND"
    status = 404


@dataclass(frozen=True, kw_only=True)
class PayloadProblem:
    """One thing that is wrong with a payload."""

    code: str
    """Salesforce's status code, such as `REQUIRED_FIELD_MISSING`."""
    message: str
    fields: tuple[str, ...] = ()
    """API names of the fields concerned."""


class EventRefused(EventError):
    """The event was not published: its payload is not what its definition says."""

    code = "INVALID_FIELD"
    status = 400

    def __init__(self, problems: Sequence[PayloadProblem]) -> None:
        self.problems = tuple(problems)
        super().__init__(
            " ".join(problem.message for problem in problems),
            fields=[name for problem in problems for name in problem.fields],
        )


class ReplayIdExpired(EventError):
    """Events after that replay id are no longer kept."""

    code = "sfdc.platform.eventbus.grpc.subscription.fetch.replayid.corrupted"
    status = 400


class InvalidDefinition(EventError):
    """A platform event is declared wrongly."""


class InvalidSubscriber(EventError):
    """A subscriber is declared wrongly."""


class SubscriberBrokeTransaction(EventError):
    """The subscriber caught a database error and went on, so what it wrote is lost. Wrap the statement in atomic()."""
