"""What endpoints add to the console: their pages."""

from isthmus.console.registry import Page, register_page

__all__ = ["register"]


def register() -> None:
    """Join the console; called once, when the app is ready."""
    register_page(Page("API endpoints", "apexrest_pages:endpoints", "arrow-in", 35))
    register_page(Page("API documentation", "apexrest_pages:documentation", "timeline", 90, permission_action=""))
