"""Whom a program may act as."""

from typing import Any

from isthmus.access.errors import RunAsUserRefused
from isthmus.access.policy import SYSTEM_USERNAME

__all__ = ["check_run_as_user"]


def check_run_as_user(user: Any) -> None:
    """Raise `RunAsUserRefused`, saying why, when no program may act as `user`."""
    if not user.is_active:
        raise RunAsUserRefused(f"{user.get_username()} is not active. Activate the user or name another one.")
    if user.get_username() == SYSTEM_USERNAME:
        raise RunAsUserRefused(f"{SYSTEM_USERNAME} is the platform itself and may do everything. Name another user.")
