"""Who looks at the pages."""

import pytest
from django.test import Client

from tests import console_samples as samples


@pytest.fixture
def watcher(db):
    """A browser signed in as somebody who may look, and not act."""
    client = Client()
    client.force_login(samples.user_with("view"))
    return client


@pytest.fixture
def operator(db):
    """A browser signed in as somebody who may look and act."""
    client = Client()
    client.force_login(samples.user_with("operate"))
    return client
