"""The app's writes."""

from isthmus.access.actions.api_clients import (
    change_run_as_user,
    create_api_client,
    issue_access_token,
    replace_client_secret,
    revoke_client,
    revoke_client_tokens,
)
from isthmus.access.actions.permission_sets import assign, ensure_permission_set, grant, revoke, unassign

__all__ = [
    "assign",
    "change_run_as_user",
    "create_api_client",
    "ensure_permission_set",
    "grant",
    "issue_access_token",
    "replace_client_secret",
    "revoke",
    "revoke_client",
    "revoke_client_tokens",
    "unassign",
]
