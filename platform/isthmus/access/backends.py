"""Permission sets behind Django's `has_perm`."""

from django.contrib.auth.backends import BaseBackend


class PermissionSetBackend(BaseBackend):
    """Answers `user.has_perm` from the user's permission sets."""
