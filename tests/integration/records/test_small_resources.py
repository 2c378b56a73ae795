"""Resources of Salesforce's screens: empty here, in the shapes that clients read."""

import pytest

from crm.models import Account

pytestmark = pytest.mark.django_db(transaction=True)


def test_empty_lists(api):
    base = "/services/data/v60.0/actions"
    assert api.get("actions").json() == {"custom": f"{base}/custom", "standard": f"{base}/standard"}
    assert api.get("actions/standard").json() == {"actions": []}
    assert api.get("actions/custom").json() == {}
    assert api.get("tabs").json() == []
    assert api.get("theme").json() == {"themeItems": []}


@pytest.mark.parametrize("tail", ["describe/layouts", "listviews", "listviews/recent", "quickActions", "describe/x/y"])
def test_what_is_not_there_is_404(api, tail):
    Account.objects.create(name="A")
    answer = api.get(f"sobjects/Account/{tail}")
    assert (answer.status_code, answer.json()[0]["errorCode"]) == (404, "NOT_FOUND")


def test_the_version_lists_its_resources(api):
    found = api.get("").json()
    for name in ("limits", "sobjects", "recent", "actions", "tabs", "theme"):
        assert found[name] == f"/services/data/v60.0/{name}"
        assert api.send("GET", found[name]).status_code == 200


def test_options_tell_the_methods_of_a_resource(api):
    told = api.send("OPTIONS", "sobjects/Account")
    assert (told.status_code, told["Allow"], told.content) == (204, "GET, POST", b"")
    assert api.send("OPTIONS", "nowhere").status_code == 404
