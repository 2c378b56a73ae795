"""Why did this not fire? What was considered on the way from a change to a subscriber, and what decided."""

from events.why.events import explain_event
from events.why.findings import Finding, Group, Verdict
from events.why.records import RecordAnswer, explain_record

__all__ = ["Finding", "Group", "RecordAnswer", "Verdict", "explain_event", "explain_record"]
