"""Queries: `query`, `queryAll`, their further pages, the plan of a query and the columns of its answer."""

import re

from records.calls import Answer, Call
from records.errors import ParameterRefused
from records.routing import resource
from records.soql import running
from records.soql.columns import columns_of
from records.soql.explaining import explain

__all__: list[str] = []

_BATCH_SIZE = re.compile(r"\bbatchSize\s*=\s*(\d{1,9})", re.IGNORECASE)


def query(call: Call) -> Answer:
    """Answer a query over live records."""
    return _answered(call, include_deleted=False)


def query_all(call: Call) -> Answer:
    """Answer a query over records in the recycle bin as well."""
    return _answered(call, include_deleted=True)


def page(call: Call, locator: str) -> Answer:
    """Give a further page of a query."""
    return Answer(body=running.next_page(locator, _asked(call, include_deleted=False)))


def _answered(call: Call, *, include_deleted: bool) -> Answer:
    asked = _asked(call, include_deleted=include_deleted)
    if "explain" in call.query:
        return Answer(body=explain(call.query["explain"], asked))
    text = call.query.get("q")
    if text is None:
        raise ParameterRefused("The parameter q must be given: a query.", fields=["q"])
    if call.flag("columns"):
        return Answer(body=columns_of(text, asked))
    return Answer(body=running.run(text, asked))


def _asked(call: Call, *, include_deleted: bool) -> running.Asked:
    told = _BATCH_SIZE.search(call.headers.get("Sforce-Query-Options", ""))
    size = int(told[1]) if told else running.MAX_BATCH
    return running.Asked(
        user=call.user,
        base=call.base,
        batch_size=min(max(size, running.MIN_BATCH), running.MAX_BATCH),
        include_deleted=include_deleted,
    )


resource("query", get=query)
resource("queryAll", get=query_all)
resource("query/{locator}", get=page)
resource("queryAll/{locator}", get=page)
