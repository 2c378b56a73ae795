"""Users and the endpoints' client."""

import pytest
from django.contrib.auth.models import User
from django.test import Client


@pytest.fixture
def integration_user(db):
    return User.objects.create_user("integration")


@pytest.fixture
def http():
    """An HTTP client that answers 500 instead of raising what the server raised."""
    return Client(raise_request_exception=False)
