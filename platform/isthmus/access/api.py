"""How callers of the API say who they are."""

from rest_framework.authentication import BaseAuthentication


class AccessTokenAuthentication(BaseAuthentication):
    """Reads the access token of a request."""
