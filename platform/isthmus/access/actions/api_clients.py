"""Programs that call the API: make one, give it another secret, take its tokens away; tokens for people."""

from collections.abc import Iterable
from typing import Any

from django.contrib.auth.models import User
from django.db import transaction
from oauth2_provider.models import AccessToken, Grant, RefreshToken

from isthmus import ids
from isthmus.access import tokens
from isthmus.access.models import ApiClient, ApiClientSecret, Approval, Flow, Scope
from isthmus.access.run_as import check_run_as_user
from isthmus.logs import get_logger

__all__ = [
    "change_run_as_user",
    "create_api_client",
    "issue_access_token",
    "replace_client_secret",
    "revoke_client",
    "revoke_client_tokens",
]

log = get_logger(__name__)


def create_api_client(
    name: str,
    user: User | None,
    *,
    flows: Iterable[Flow] = (Flow.CLIENT_CREDENTIALS,),
    scopes: Iterable[str] = (Scope.API,),
    redirect_uris: Iterable[str] = (),
    is_public: bool = False,
    client_id: str = "",
    **settings: Any,
) -> tuple[ApiClient, str]:
    """Make a client and return it with its secret, "" for a public one.

    Nobody can read the secret again: its hash is stored, and the secret itself sealed, to sign token answers with.
    `user`: whom it acts as on its own; `None` for one that acts for people only. `client_id`: "" makes one. Further
    `settings` are fields of `ApiClient`. Names need not be unique. Raises `RunAsUserRefused`.
    """
    if user is not None:
        check_run_as_user(user)
    secret = "" if is_public else ids.new_token(32)
    with transaction.atomic():
        client = ApiClient.objects.create(
            name=name,
            user=user,
            client_id=client_id or ids.new_token(24),
            # The toolkit wants one of every client; nobody knows that of a public one.
            client_secret=secret or ids.new_token(32),
            client_type=ApiClient.CLIENT_PUBLIC if is_public else ApiClient.CLIENT_CONFIDENTIAL,
            authorization_grant_type=ApiClient.GRANT_CLIENT_CREDENTIALS,
            flows=" ".join(flows),
            scopes=" ".join(scopes),
            redirect_uris=" ".join(redirect_uris),
            **settings,
        )
        if secret:
            ApiClientSecret.objects.create(client=client, secret=secret)
    log.info("api_client.created", client_id=client.client_id, run_as=user.get_username() if user else "")
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
        kept, _ = ApiClientSecret.objects.get_or_create(client=client, defaults={"secret": secret})
        kept.secret = secret
        kept.save()
        revoke_client_tokens(client)
    log.info("api_client.secret_replaced", client_id=client.client_id)
    return secret


def revoke_client_tokens(client: ApiClient) -> int:
    """Void everything that the client holds, and return how many tokens that were.

    Access tokens, refresh tokens, and codes that were not redeemed yet.
    """
    refresh_tokens = RefreshToken.objects.filter(application=client, revoked=None)
    access_tokens = AccessToken.objects.filter(application=client)
    with transaction.atomic():
        # A token that is being made holds this lock; the next one sees that the client has changed.
        ApiClient.objects.select_for_update().get(pk=client.pk)
        count = refresh_tokens.count() + access_tokens.count()
        Grant.objects.filter(application=client).delete()
        refresh_tokens.delete()
        access_tokens.delete()
    return count


def revoke_client(client: ApiClient) -> int:
    """Void everything the client holds and forget who approved it; return how many tokens that were."""
    with transaction.atomic():
        count = revoke_client_tokens(client)
        Approval.objects.filter(client=client).delete()
    log.info("api_client.revoked", client_id=client.client_id, tokens=count)
    return count


def issue_access_token(user: User) -> str:
    """Return a new access token with which a caller acts as `user`. Raises `RunAsUserRefused`."""
    check_run_as_user(user)
    text, _ = tokens.issue(user)
    log.info("access_token.issued", user=user.get_username())
    return text
