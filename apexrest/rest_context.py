"""What an endpoint's method knows about its request, and what it can say about its answer beyond the return value."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from apexrest.errors import OutsideEndpoint

if TYPE_CHECKING:
    # At run time this package is imported before Django's models can be.
    from django.contrib.auth.models import AbstractUser

__all__ = ["RestContext", "RestRequest", "RestResponse", "context", "entered"]

Query = TypeVar("Query")


@dataclass(frozen=True, kw_only=True)
class RestRequest:
    """The request, as far as it is not in the method's parameters."""

    method: str
    path: str
    """The address below `/services/apexrest`, beginning with a slash."""
    mapping: str = ""
    """The URL mapping that matched."""
    wildcard: str = ""
    """What `*` of the mapping stands for: `42/lines` for `/v1/orders/42/lines` and `/v1/orders/*`."""
    query: Mapping[str, str] = field(default_factory=dict)
    """Query parameters; of a repeated one, the last."""
    query_lists: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Query parameters with everything a repeated one has."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Headers, found in any case; without `Authorization` and `Cookie`."""
    body: bytes = b""
    """The body as it came."""
    user: "AbstractUser | None" = None
    """Who calls; `None` only in tests that name nobody."""
    client_id: str = ""
    """The API client through which the user calls; "" for a token that no client asked for."""
    delivery_id: str = ""
    """What tells a webhook's delivery from others; "" for requests with an access token."""
    client_address: str = ""
    """The caller's IP address."""
    parsed_query: Any = None
    """The query parameters as the dataclass that the method declares; `None` when it declares none."""

    @property
    def caller(self) -> str:
        """User and API client in one text: whose keys and rates are whose."""
        return f"{self.user.pk if self.user is not None else ''}/{self.client_id}"


@dataclass(kw_only=True)
class RestResponse:
    """What the method may set."""

    status: int | None = None
    """`None`: 200 with a body, 204 without. From 400 on, everything that the method wrote is undone."""
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Exchange:
    """One request with its answer."""

    request: RestRequest
    response: RestResponse = field(default_factory=RestResponse)


_current: ContextVar[Exchange | None] = ContextVar("apexrest_exchange", default=None)


class RestContext:
    """`context.request` and `context.response` of the endpoint that runs. Both raise `OutsideEndpoint` elsewhere."""

    @property
    def request(self) -> RestRequest:
        """The request."""
        return self._exchange().request

    @property
    def response(self) -> RestResponse:
        """What will be answered."""
        return self._exchange().response

    def query(self, declared: type[Query]) -> Query:
        """Return the query parameters as the dataclass that the method declares (`@http_get(query=…)`)."""
        found = self.request.parsed_query
        if not isinstance(found, declared):
            raise OutsideEndpoint(f"The endpoint that runs does not declare its query as {declared.__qualname__}.")
        return found

    def _exchange(self) -> Exchange:
        exchange = _current.get()
        if exchange is None:
            raise OutsideEndpoint
        return exchange


context = RestContext()


@contextmanager
def entered(request: RestRequest) -> Iterator[Exchange]:
    """Let `context` speak of `request` while the block runs."""
    exchange = Exchange(request=request)
    token = _current.set(exchange)
    try:
        yield exchange
    finally:
        _current.reset(token)
