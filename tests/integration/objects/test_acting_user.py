"""Records that a request writes carry the request's user, however late that is known."""

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from django.contrib.auth import get_user_model
from django.contrib.auth.models import AnonymousUser
from django.http import HttpResponse
from django.test import AsyncRequestFactory, RequestFactory

from crm.models import Lead
from isthmus.objects.capture import acting_as, acting_origin, acting_user
from isthmus.objects.middleware import ActingUserMiddleware

pytestmark = pytest.mark.django_db


@pytest.fixture
def ida(db):
    return get_user_model().objects.create_user("ida")


def test_the_user_is_asked_for_when_a_record_is_written(ida):
    def view(request):
        request.user = ida
        Lead.objects.create(last_name="A", company="X")
        return HttpResponse()

    ActingUserMiddleware(view)(RequestFactory().get("/"))
    assert Lead.objects.get().created_by == ida
    assert acting_user() is None


def test_nobody_acts_in_an_anonymous_request():
    def view(request):
        request.user = AnonymousUser()
        Lead.objects.create(last_name="A", company="X")
        return HttpResponse()

    ActingUserMiddleware(view)(RequestFactory().get("/"))
    assert Lead.objects.get().created_by is None


def test_async_views_are_covered(ida):
    async def view(request):
        request.user = ida
        assert await sync_to_async(acting_user)() == ida
        return HttpResponse()

    answer = async_to_sync(ActingUserMiddleware(view))(AsyncRequestFactory().get("/"))
    assert answer.status_code == 200


def test_blocks_nest_and_the_inner_user_counts(ida):
    other = get_user_model().objects.create_user("other")
    with acting_as(ida, origin="import"):
        with acting_as(other):
            assert (acting_user(), acting_origin()) == (other, "import")
        assert acting_user() == ida
    assert (acting_user(), acting_origin()) == (None, "")
