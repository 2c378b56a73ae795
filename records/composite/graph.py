"""Graphs: composite requests that stand side by side, each all or none, its nodes in the order of their references.

Reference: https://developer.salesforce.com/docs/atlas.en-us.api_rest.meta/api_rest/resources_composite_graph_limits.htm
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from heapq import heappop, heappush
from typing import Any

from isthmus.errors import IsthmusError
from records.calls import Answer, Call
from records.composite import composite, shapes
from records.composite.subrequests import Part
from records.errors import BodyRefused, PartLimitExceeded, PartRefused
from records.routing import refusal

__all__ = ["MAX_DEPTH", "MAX_FAILED", "MAX_GRAPHS", "MAX_KINDS", "MAX_NODES", "run"]

MAX_GRAPHS = 75
MAX_NODES = 500
"""Nodes of all graphs together."""
MAX_DEPTH = 15
"""How many nodes may follow each other by reference."""
MAX_KINDS = 15
"""Different kinds of nodes in a graph: what they do to which object."""
MAX_FAILED = 14
"""Graphs that may fail before the rest is not done any more."""

_GRAPH_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,39}")
_ROW, _RECORD, _BY_VALUE = "sobjects/{name}", "sobjects/{name}/{record_id}", "sobjects/{name}/{first}/{rest*}"
_ALLOWED = {
    _ROW: {"POST"},
    _RECORD: {"DELETE", "GET", "PATCH", "POST"},
    _BY_VALUE: {"DELETE", "GET", "PATCH", "POST"},
}
_TOO_MANY_FAILED = f"The graph was not processed since {MAX_FAILED} graphs before it failed."


@dataclass(frozen=True)
class _Graph:
    graph_id: str
    nodes: Sequence[Part]


def run(call: Call) -> list[dict[str, Any]]:
    """Do the graphs in the body of a call; return what became of each. Raises what is wrong with the whole."""
    graphs = list(_graphs(call.json_object()))
    told, failed = [], 0
    for graph in graphs:
        answers = _halt(graph, _TOO_MANY_FAILED) if failed >= MAX_FAILED else _answers(call, graph)
        is_successful = all(answer.succeeded for answer in answers.values())
        failed += not is_successful
        listed = composite.as_bodies(graph.nodes, answers)
        told.append(
            {
                "graphId": graph.graph_id,
                "graphResponse": {"compositeResponse": listed},
                "isSuccessful": is_successful,
            }
        )
    return told


def _graphs(body: Mapping[str, Any]) -> Iterator[_Graph]:
    given = shapes.as_list(body.get("graphs"), "graphs")
    if not given:
        raise BodyRefused("graphs must have at least one graph.")
    if len(given) > MAX_GRAPHS:
        raise PartLimitExceeded(f"A request has at most {MAX_GRAPHS} graphs.")
    seen: set[str] = set()
    count = 0
    for place, one in enumerate(given):
        name = f"graphs[{place}]"
        graph = shapes.as_object(one, name)
        graph_id = shapes.as_text(graph.get("graphId"), f"{name}.graphId")
        if not _GRAPH_ID.fullmatch(graph_id):
            raise BodyRefused(f"{name}.graphId must have 1 to 40 characters and start with a letter or digit.")
        if graph_id in seen:
            raise BodyRefused(f"{name}.graphId is another graph's already: {graph_id}")
        seen.add(graph_id)
        nodes = shapes.as_list(graph.get("compositeRequest"), f"{name}.compositeRequest")
        count += len(nodes)
        if count > MAX_NODES:
            raise PartLimitExceeded(f"The graphs of a request have at most {MAX_NODES} nodes together.")
        yield _Graph(graph_id, composite.read_parts(nodes, f"{name}.compositeRequest"))


def _answers(call: Call, graph: _Graph) -> dict[str, Answer]:
    try:
        for node in graph.nodes:
            _require_allowed(node)
        _require_few_kinds(graph)
        ordered = _in_order(graph)
    except _NodeRefused as refused:
        return {**_halt(graph), **{name: refusal(refused.error, call) for name in refused.names}}
    try:
        return composite.all_together(call, ordered, within="graph")
    except Exception as error:  # noqa: BLE001 - a commit that fails is this graph's failure, and the others go on
        return {**_halt(graph), ordered[-1].reference_id: refusal(error, call)}


class _NodeRefused(Exception):
    """Nodes because of which their graph is not even begun."""

    def __init__(self, error: IsthmusError, *names: str) -> None:
        super().__init__(error.message)
        self.error = error
        self.names = names


def _halt(graph: _Graph, why: str = "") -> dict[str, Answer]:
    answer = composite.halted(why) if why else composite.halted()
    return {node.reference_id: answer for node in graph.nodes}


def _require_allowed(node: Part) -> None:
    try:
        name = node.address.route().name
        if node.method not in _ALLOWED.get(name, ()):
            raise PartRefused(f"{node.method} {name or '/'} cannot be a node of a graph.")
    except IsthmusError as error:
        raise _NodeRefused(error, node.reference_id) from error


def _require_few_kinds(graph: _Graph) -> None:
    kinds: set[tuple[str, str]] = set()
    for node in graph.nodes:
        kinds.add((node.method, node.address.pieces[1].lower()))
        if len(kinds) > MAX_KINDS:
            error = PartLimitExceeded(f"A graph has at most {MAX_KINDS} kinds of nodes.")
            raise _NodeRefused(error, node.reference_id)


def _in_order(graph: _Graph) -> list[Part]:
    """Return the nodes so that each comes after those that it refers to, else in the order in which they were given."""
    by_name = {node.reference_id: node for node in graph.nodes}
    needs = {name: {one for one in node.refers_to() if one in by_name} for name, node in by_name.items()}
    sorter = TopologicalSorter(needs)
    try:
        sorter.prepare()
    except CycleError as error:
        circle: list[str] = error.args[1]
        refused = PartRefused(f"These nodes refer to each other in a circle: {', '.join(circle)}")
        raise _NodeRefused(refused, *circle) from error
    places = {name: place for place, name in enumerate(by_name)}
    names, waiting, ordered = list(by_name), list[int](), list[Part]()
    depths: dict[str, int] = {}
    while sorter.is_active():
        for name in sorter.get_ready():
            heappush(waiting, places[name])
        name = names[heappop(waiting)]
        depths[name] = 1 + max((depths[one] for one in needs[name]), default=0)
        if depths[name] > MAX_DEPTH:
            raise _NodeRefused(PartLimitExceeded(f"A graph is at most {MAX_DEPTH} nodes deep."), name)
        ordered.append(by_name[name])
        sorter.done(name)
    return ordered
