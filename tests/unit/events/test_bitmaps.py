"""Lists of fields as bitmaps."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from events.bitmaps import from_bitmaps, to_bitmaps

ADDRESS = {"type": "record", "name": "Address", "fields": [{"name": "Street"}, {"name": "City"}, {"name": "Country"}]}
# Only the places count: numbers 6, 7, 11 and 22 are those of Salesforce's Account.
ACCOUNT = [{"name": f"Field{place}", "type": ["null", "string"]} for place in range(36)]
ACCOUNT[4] = {"name": "BillingAddress", "type": ["null", ADDRESS]}
for _place, _name in ((6, "Phone"), (7, "Fax"), (11, "Industry"), (22, "LastModifiedDate")):
    ACCOUNT[_place] = {"name": _name, "type": ["null", "string"]}

NAMES = [field["name"] for field in ACCOUNT] + ["BillingAddress.Street", "BillingAddress.City"]


@pytest.mark.parametrize(
    ("names", "bitmaps"),
    [
        (["Phone", "Fax", "Industry", "LastModifiedDate", "BillingAddress.City"], ["0x4008C0", "4-0x02"]),
        (["Industry"], ["0x0800"]),
        (["Industry", "LastModifiedDate"], ["0x400800"]),
        (["LastModifiedDate", "BillingAddress.Street"], ["0x400000", "4-0x01"]),
        ([], []),
    ],
)
def test_the_bitmaps_are_those_that_clients_know(names, bitmaps):
    assert to_bitmaps(names, ACCOUNT) == bitmaps
    assert set(from_bitmaps(bitmaps, ACCOUNT)) == set(names)


@given(st.sets(st.sampled_from(NAMES)))
def test_names_come_back_in_the_order_of_the_schema(names):
    found = from_bitmaps(to_bitmaps(names, ACCOUNT), ACCOUNT)
    assert set(found) == names
    assert [name for name in found if "." not in name] == [name for name in NAMES if name in names and "." not in name]


def test_a_name_that_the_schema_lacks_is_left_out():
    assert to_bitmaps(["Planet", "BillingAddress.Planet", "Phone.Extension"], ACCOUNT) == []


@pytest.mark.parametrize("wrong", ["", "0x", "0xABC", "4008C0", "99-0x01", "4-0x08", "0x1000000000", "6-0x01", "0xGG"])
def test_what_is_no_bitmap_is_refused(wrong):
    with pytest.raises(ValueError, match=r"bitmap|no field"):
        from_bitmaps([wrong], ACCOUNT)
