"""The actions that the audit trail knows. An app registers its own, so that a typing error is found at once."""

from dataclasses import dataclass

from isthmus.audit.errors import UnknownAction

__all__ = ["AuditAction", "all_actions", "get_action", "register_actions"]


@dataclass(frozen=True, kw_only=True)
class AuditAction:
    """A kind of thing that is recorded."""

    name: str
    """`app.what_happened`, stable."""
    label: str


_actions: dict[str, AuditAction] = {}


def register_actions(*actions: AuditAction) -> None:
    """Add actions. Raises `ValueError` when a name is taken."""
    for action in actions:
        if action.name in _actions:
            raise ValueError(f"An audit action named {action.name!r} is registered already.")
        _actions[action.name] = action


def get_action(name: str) -> AuditAction:
    """Return the action of that name. Raises `UnknownAction`."""
    try:
        return _actions[name]
    except KeyError:
        raise UnknownAction(f"There is no audit action {name!r}.") from None


def all_actions() -> list[AuditAction]:
    """Return every action, by label."""
    return sorted(_actions.values(), key=lambda action: action.label)
