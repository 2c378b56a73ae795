"""Many things in one request: collections, composite requests, graphs, batches and trees.

Paths: https://developer.salesforce.com/docs/atlas.en-us.api_rest.meta/api_rest/resources_composite.htm
"""

from records.calls import Answer, Call
from records.composite import batch, collections, composite, graph, shapes, tree
from records.errors import BodyRefused, ParameterRefused, RecordLimitExceeded
from records.routing import resource

__all__: list[str] = []


def resources(call: Call) -> Answer:
    """Map the names of the composite resources to their paths."""
    return Answer(body={name: f"{call.base}/composite/{name}" for name in ("batch", "graph", "sobjects", "tree")})


def compose(call: Call) -> Answer:
    """Do parts that may refer to each other."""
    return Answer(body={"compositeResponse": composite.run(call)})


def do_graphs(call: Call) -> Answer:
    """Do graphs of parts, each all or none."""
    return Answer(body={"graphs": graph.run(call)})


def do_batch(call: Call) -> Answer:
    """Do parts one by one."""
    return Answer(body=batch.run(call))


def create_tree(call: Call, name: str) -> Answer:
    """Create records with the records below them."""
    return tree.create(call, name)


def create(call: Call) -> Answer:
    """Create records."""
    return Answer(body=collections.create(call.user, call.json_object()))


def update(call: Call) -> Answer:
    """Change records."""
    return Answer(body=collections.update(call.user, call.json_object()))


def upsert(call: Call, name: str, field: str) -> Answer:
    """Create or change records by what an outside system calls them."""
    return Answer(body=collections.upsert(call.user, name, field, call.json_object()))


def delete(call: Call) -> Answer:
    """Move records to the recycle bin."""
    all_or_none = shapes.as_flag(call.query.get("allOrNone") or None, "allOrNone")
    return Answer(body=collections.delete(call.user, _listed(call, "ids"), all_or_none=all_or_none))


def read(call: Call, name: str) -> Answer:
    """Give records that the address names."""
    record_ids = _listed(call, "ids")
    if len(record_ids) > collections.MAX_IDS_IN_ADDRESS:
        raise RecordLimitExceeded(collections.MAX_IDS_IN_ADDRESS)
    return Answer(body=collections.read(call.user, name, record_ids, _listed(call, "fields"), call.version))


def read_named_in_body(call: Call, name: str) -> Answer:
    """Give records that the body names."""
    body = call.json_object()
    record_ids, fields = (
        [
            shapes.as_text(one, f"{member}[{place}]")
            for place, one in enumerate(shapes.as_list(body.get(member), member))
        ]
        for member in ("ids", "fields")
    )
    if not fields:
        raise BodyRefused("fields must name at least one field.")
    if len(record_ids) > collections.MAX_IDS:
        raise RecordLimitExceeded(collections.MAX_IDS)
    return Answer(body=collections.read(call.user, name, record_ids, fields, call.version))


def _listed(call: Call, name: str) -> list[str]:
    found = [text.strip() for text in call.query.get(name, "").split(",") if text.strip()]
    if not found:
        raise ParameterRefused(f"{name} must be a list, separated by commas, that is not empty.")
    return found


resource("composite", get=resources, post=compose)
resource("composite/graph", post=do_graphs)
resource("composite/batch", post=do_batch)
resource("composite/tree/{name}", post=create_tree)
resource("composite/sobjects", post=create, patch=update, delete=delete)
resource("composite/sobjects/{name}", get=read, post=read_named_in_body)
resource("composite/sobjects/{name}/{field}", patch=upsert)
