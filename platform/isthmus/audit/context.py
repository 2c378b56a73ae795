"""Who is acting, for entries that do not say: whoever knows registers a source."""

from collections.abc import Callable

from django.contrib.auth.models import AbstractUser

__all__ = ["current_actor", "register_actor_source"]

ActorSource = Callable[[], AbstractUser | None]

_sources: list[ActorSource] = []


def register_actor_source(source: ActorSource) -> None:
    """Let `source` be asked who is acting; it returns `None` when it does not know."""
    _sources.append(source)


def current_actor() -> AbstractUser | None:
    """Return who is acting; `None`: the platform itself."""
    return next((found for source in _sources if (found := source()) is not None), None)
