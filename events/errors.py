"""What can go wrong with events.

EventError
├── UnknownEvent            no such platform event
├── UnknownTopic            no such topic
├── EventRefused            the payload is not what the definition says (every problem at once)
├── UnknownSchema           no such schema
├── UndecodablePayload      the bytes are not what the schema describes
├── ReplayIdExpired         events after that replay id are no longer kept
├── EventLogUnavailable     the log's server does not answer, or refuses
├── Retryable               a subscriber asks for the same events again, later
├── PoisonousEvent          a subscriber cannot handle an event, and is to stop there
├── TooManyPoisonous        so many events fail that they can hardly be the reason
├── InvalidResumePoint      a resume point that cannot be
├── UnknownRunAsUser        a subscriber runs as a user who is not there
├── SkipRefused             another number of events waits than was said
├── NotParked               the event waits for no decision any more
├── InvalidDefinition       a platform event is declared wrongly
├── InvalidFilter           a filter expression makes no sense
└── InvalidSubscriber       a subscriber is declared wrongly
"""

from collections.abc import Sequence
from dataclasses import dataclass

from isthmus.errors import IsthmusError

__all__ = [
    "EventError",
    "EventLogUnavailable",
    "EventRefused",
    "InvalidDefinition",
    "InvalidFilter",
    "InvalidResumePoint",
    "InvalidSubscriber",
    "NotParked",
    "PayloadProblem",
    "PoisonousEvent",
    "ReplayIdExpired",
    "Retryable",
    "SkipRefused",
    "SubscriberBrokeTransaction",
    "TooManyPoisonous",
    "UndecodablePayload",
    "UnknownEvent",
    "UnknownRunAsUser",
    "UnknownSchema",
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


class UnknownSchema(EventError):
    """There is no schema of that id."""

    code = "NOT_FOUND"
    status = 404


class UndecodablePayload(EventError):
    """The bytes of a payload are not what the schema describes."""

    code = "INVALID_FIELD"
    status = 400


class ReplayIdExpired(EventError):
    """Events after that replay id are no longer kept."""

    code = "sfdc.platform.eventbus.grpc.subscription.fetch.replayid.corrupted"
    status = 400


class EventLogUnavailable(EventError):
    """The server that keeps the log does not answer, or refuses. What is to be published waits for it."""

    code = "sfdc.platform.eventbus.grpc.service.unavailable"
    status = 503


class Retryable(EventError):
    """The events cannot be handled now; what is missing may be there later. Raised by subscribers."""


class PoisonousEvent(EventError):
    """A subscriber cannot handle an event, and is to stop there."""

    def __init__(self, replay_id: int, error: Exception) -> None:
        self.replay_id = replay_id
        super().__init__(f"The event with replay id {replay_id} cannot be handled: {type(error).__name__}: {error}")


class TooManyPoisonous(EventError):
    """So many events of one call fail that they can hardly be the reason."""


class InvalidResumePoint(EventError):
    """A resume point is an event of the call, and is set outside the function's own transactions."""


class UnknownRunAsUser(EventError):
    """The user as whom a subscriber runs does not exist or is not active."""


class SkipRefused(EventError):
    """Another number of events waits than was said, or the place is not where it was thought to be."""

    code = "INVALID_STATUS"
    status = 409


class NotParked(EventError):
    """The event waits for no decision any more."""

    code = "INVALID_STATUS"
    status = 409


class InvalidDefinition(EventError):
    """A platform event is declared wrongly."""


class InvalidFilter(EventError):
    """A filter expression makes no sense."""

    code = "MALFORMED_QUERY"
    status = 400


class InvalidSubscriber(EventError):
    """A subscriber is declared wrongly."""


class SubscriberBrokeTransaction(EventError):
    """The subscriber caught a database error and went on, so what it wrote is lost. Wrap the statement in atomic()."""
