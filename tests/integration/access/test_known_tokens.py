"""Tokens and grants are remembered for less than a second: no query in between, and a revocation is heard in time."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.db import connection
from oauth2_provider.models import AccessToken
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request
from rest_framework.test import APIRequestFactory

from isthmus.access import known_tokens, policy
from isthmus.access.actions import assign, ensure_permission_set, issue_access_token, revoke
from isthmus.access.api import AccessTokenAuthentication

pytestmark = pytest.mark.django_db


@pytest.fixture
def remembering(settings, moving_clock):
    settings.ISTHMUS_ACCESS_REMEMBERED_SECONDS = 0.9
    known_tokens.forget()
    yield moving_clock
    known_tokens.forget()


@pytest.fixture
def token(integration_user, remembering):
    assign(ensure_permission_set("Desk", "Desk", [("object", "read", "Contact")]), integration_user)
    return issue_access_token(integration_user)


def user_of(token):
    request = Request(APIRequestFactory().get("/", headers={"Authorization": f"Bearer {token}"}))
    user, _ = AccessTokenAuthentication().authenticate(request)
    return user


def behind_our_back(statement, *values):
    """Do what another process would do: nobody here is told."""
    with connection.cursor() as cursor:
        cursor.execute(statement, values)


def test_a_caller_costs_no_query_in_the_steady_state(token, django_assert_num_queries):
    with django_assert_num_queries(2):
        assert policy.is_granted(user_of(token), "object", "read", "Contact")
    with django_assert_num_queries(0):
        for _ in range(5):
            user = user_of(token)
            assert policy.is_granted(user, "object", "read", "Contact")
            assert not policy.is_granted(user, "object", "edit", "Contact")


def test_what_a_request_does_to_its_user_does_not_reach_the_next(token):
    first = user_of(token)
    first.is_superuser = True
    policy.forget_grants(first)
    second = user_of(token)
    assert second is not first
    assert not second.is_superuser


def test_a_revocation_here_is_heard_at_once(token):
    user_of(token)
    AccessToken.objects.all().delete()
    with pytest.raises(AuthenticationFailed):
        user_of(token)


def test_a_grant_withdrawn_here_is_heard_at_once(token, integration_user):
    assert policy.is_granted(user_of(token), "object", "read", "Contact")
    revoke(integration_user.permission_sets.get(), "object", "read", "Contact")
    assert not policy.is_granted(user_of(token), "object", "read", "Contact")


def test_a_revocation_elsewhere_is_heard_within_a_second(token, remembering):
    user_of(token)
    behind_our_back("DELETE FROM oauth2_provider_accesstoken")
    assert user_of(token).get_username() == "integration"
    remembering.move(timedelta(seconds=0.95))
    with pytest.raises(AuthenticationFailed):
        user_of(token)


def test_a_user_shut_out_elsewhere_is_out_within_a_second(token, remembering, integration_user):
    user_of(token)
    behind_our_back("UPDATE auth_user SET is_active = %s WHERE id = %s", False, integration_user.pk)
    remembering.move(timedelta(seconds=0.95))
    with pytest.raises(AuthenticationFailed):
        user_of(token)
    assert User.objects.get(pk=integration_user.pk).is_active is False


def test_a_remembered_token_ends_when_its_time_is_over(token, remembering):
    remembering.move(timedelta(hours=2) - timedelta(seconds=0.5))
    user_of(token)
    remembering.move(timedelta(seconds=0.6))
    with pytest.raises(AuthenticationFailed):
        user_of(token)
