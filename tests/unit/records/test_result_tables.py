"""What a query answered becomes columns and rows."""

from decimal import Decimal

import pytest

from records.explorer.tables import as_csv_rows, shown, table_of

PATH = "/services/data/v67.0/sobjects"
ACCOUNT, CONTACT = "001000000000001AAA", "003000000000001AAA"


def attributes(name, record_id):
    return {"type": name, "url": f"{PATH}/{name}/{record_id}"}


def texts(table):
    return [[cell.text for cell in row] for row in table.rows]


def test_fields_stand_in_the_order_of_the_query():
    answer = {
        "totalSize": 1,
        "records": [{"attributes": attributes("Account", ACCOUNT), "Name": "Acme", "Id": ACCOUNT}],
    }
    table = table_of(answer)
    assert table.columns == ("Name", "Id")
    assert texts(table) == [["Acme", ACCOUNT]]
    assert table.total == 1


def test_fields_of_parents_are_columns_even_where_the_first_record_has_no_parent():
    def contact(account, title):
        return {"attributes": attributes("Contact", CONTACT), "Account": account, "Title": title}

    owner = {"attributes": attributes("User", "005000000000001AAA"), "Username": "olga"}
    acme = {"attributes": attributes("Account", ACCOUNT), "Name": "Acme", "Owner": owner}
    table = table_of({"totalSize": 2, "records": [contact(None, "Chief"), contact(acme, None)]})
    assert table.columns == ("Account.Name", "Account.Owner.Username", "Title")
    assert texts(table) == [["", "", "Chief"], ["Acme", "olga", ""]]
    assert [cell.is_null for cell in table.rows[0]] == [True, True, False]


def test_a_parent_that_no_record_has_is_one_empty_column():
    table = table_of({"totalSize": 1, "records": [{"attributes": {}, "Id": CONTACT, "Account": None}]})
    assert table.columns == ("Id", "Account")
    assert table.rows[0][1].is_null


def test_child_rows_are_a_table_of_their_own():
    contacts = {
        "totalSize": 3,
        "done": False,
        "nextRecordsUrl": "/services/data/v67.0/query/01g-2",
        "records": [{"attributes": {}, "LastName": name} for name in ("Byron", "Hopper")],
    }
    records = [
        {"attributes": {}, "Name": "Acme", "Contacts": contacts},
        {"attributes": {}, "Name": "B", "Contacts": None},
    ]
    table = table_of({"totalSize": 2, "records": records})
    assert table.columns == ("Name", "Contacts")
    cell = table.rows[0][1]
    assert cell.text == "3"
    assert cell.children.columns == ("LastName",)
    assert texts(cell.children) == [["Byron"], ["Hopper"]]
    assert not cell.children.is_complete
    assert table.rows[1][1].is_null


def test_groups_are_rows_without_record_links():
    records = [{"attributes": {"type": "AggregateResult"}, "Industry": "Banking", "expr0": 12}]
    table = table_of({"totalSize": 1, "records": records})
    assert table.columns == ("Industry", "expr0")
    assert table.numeric == {"expr0"}
    assert table.rows[0][1].is_number


def test_ids_lead_to_records_that_can_be_opened():
    records = [{"attributes": {}, "Id": CONTACT, "AccountId": ACCOUNT, "Name": "Ada"}]
    table = table_of({"totalSize": 1, "records": records}, lambda text: "Account" if text == ACCOUNT else "")
    assert [cell.object_name for cell in table.rows[0]] == ["", "Account", ""]


def test_a_count_has_no_rows():
    table = table_of({"totalSize": 17, "done": True, "records": []})
    assert (table.columns, table.rows, table.total) == ((), (), 17)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""),
        (True, "true"),
        (False, "false"),
        (0, "0"),
        (Decimal("1E+3"), "1000"),
        (Decimal("1.10"), "1.10"),
        ({"city": "Zürich", "n": None}, '{"city": "Zürich", "n": null}'),
        ([1, "a"], '[1, "a"]'),
    ],
)
def test_values_are_shown_as_json_would_tell_them(value, text):
    assert shown(value) == text


def test_a_compound_value_is_one_column():
    table = table_of({"totalSize": 1, "records": [{"attributes": {}, "BillingAddress": {"city": "Bern"}}]})
    assert table.columns == ("BillingAddress",)
    assert texts(table) == [['{"city": "Bern"}']]


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("=1+1", "'=1+1"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("+cmd|'/C calc'!A0", "'+cmd|'/C calc'!A0"),
        ("-2+3+cmd", "'-2+3+cmd"),
        ("\t=1", "'\t=1"),
        ("+41 44 123-45/67", "+41 44 123-45/67"),
        ("-5", "-5"),
        ("a=b", "a=b"),
    ],
)
def test_csv_holds_no_formulas(text, written):
    table = table_of({"totalSize": 1, "records": [{"attributes": {}, "Name": text, "Amount": -5}]})
    assert list(as_csv_rows(table)) == [["Name", "Amount"], [written, "-5"]]
