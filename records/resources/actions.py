"""What only Salesforce's own screens have: nothing of it is here, and clients that look find empty lists."""

from records.calls import Answer, Call
from records.routing import resource

__all__: list[str] = []


def actions(call: Call) -> Answer:
    """Map the kinds of actions to their paths."""
    return Answer(body={kind: f"{call.base}/actions/{kind}" for kind in ("custom", "standard")})


def standard_actions(_call: Call) -> Answer:
    """List the standard actions."""
    return Answer(body={"actions": []})


def custom_actions(_call: Call) -> Answer:
    """Map the kinds of custom actions to their paths."""
    return Answer(body={})


def tabs(_call: Call) -> Answer:
    """List the tabs."""
    return Answer(body=[])


def theme(_call: Call) -> Answer:
    """List icons and colours."""
    return Answer(body={"themeItems": []})


resource("actions", get=actions)
resource("actions/standard", get=standard_actions)
resource("actions/custom", get=custom_actions)
resource("tabs", get=tabs)
resource("theme", get=theme)
