"""Programs that call the API: make one, give it another secret, take its tokens away; tokens for people."""

from django.contrib.auth.models import User
from django.db import transaction
from oauth2_provider.models import AccessToken

from isthmus import ids
from isthmus.access import tokens
from isthmus.access.errors import RunAsUserRefused
from isthmus.access.models import ApiClient
from isthmus.access.policy import SYSTEM_USERNAME
from isthmus.logs import get_logger

__all__ = [
    "change_run_as_user",
    "check_run_as_user",
    "create_api_client",
    "issue_access_token",
    "replace_client_secret",
    "revoke_client_tokens",
]

log = get_logger(__name__)


def check_run_as_user(user: User) -> None:
    """Raise `RunAsUserRefused`, saying why, when no program may act as `user`."""
    if not user.is_active:
        raise RunAsUserRefused(f"{user.get_username()} is not active. Activate the user or name another one.")
    if user.get_username() == SYSTEM_USERNAME:
        raise RunAsUserRefused(f"{SYSTEM_USERNAME} is the platform itself and may do everything. Name another user.")


def create_api_client(name: str, user: User) -> tuple[ApiClient, str]:
    """Make a client that may ask for tokens by client credentials and acts as `user`.

    Return it with its secret, which nobody can read again: only a salted hash is stored. Names need not be unique.
    Raises `RunAsUserRefused`.
    """
    check_run_as_user(user)
    secret = ids.new_token(32)
    client = ApiClient.objects.create(
        name=name,
        user=user,
        client_id=ids.new_token(24),
        client_secret=secret,
        client_type=ApiClient.CLIENT_CONFIDENTIAL,
        authorization_grant_type=ApiClient.GRANT_CLIENT_CREDENTIALS,
    )
    log.info("api_client.created", client_id=client.client_id, run_as=user.get_username())
    return client, secret


def change_run_as_user(client: ApiClient, user: User) -> None:
    """Let the client act as `user` from now on; tokens with which it acted as somebody else are void.

    Raises `RunAsUserRefused`.
    """
    check_run_as_user(user)
    with transaction.atomic():
        client.user = user
        client.save(update_fields=["user", "updated"])
        revoke_client_tokens(client)
    log.info("api_client.run_as_changed", client_id=client.client_id, run_as=user.get_username())


def replace_client_secret(client: ApiClient) -> str:
    """Give the client a new secret and return it; the old one and the tokens got with it are void at once."""
    secret = ids.new_token(32)
    with transaction.atomic():
        client.client_secret = secret
        client.save(update_fields=["client_secret", "updated"])
        revoke_client_tokens(client)
    log.info("api_client.secret_replaced", client_id=client.client_id)
    return secret


def revoke_client_tokens(client: ApiClient) -> int:
    """Void every token of the client and return how many there were."""
    count, _ = AccessToken.objects.filter(application=client).delete()
    return int(count)


def issue_access_token(user: User) -> str:
    """Return a new access token with which a caller acts as `user`. Raises `RunAsUserRefused`."""
    check_run_as_user(user)
    text, _ = tokens.issue(user)
    log.info("access_token.issued", user=user.get_username())
    return text
