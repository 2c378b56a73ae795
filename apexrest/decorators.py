"""What turns a class into an endpoint. Everything that can be wrong with it is told here, when it is imported."""

import inspect
from collections.abc import Callable, Mapping
from datetime import date
from typing import Any, Protocol, TypeVar, overload

from apexrest import registry
from apexrest.errors import EndpointMisdeclared
from apexrest.limits import Limits
from apexrest.signatures import SAFE_METHODS, Endpoint, MethodOptions
from apexrest.webhooks import Webhook

__all__ = ["http_delete", "http_get", "http_patch", "http_post", "http_put", "rest_resource"]

Class = TypeVar("Class", bound=type)
Method = TypeVar("Method", bound=Callable[..., Any])

_MARK = "__apexrest_method__"


def rest_resource(
    url_mapping: str,
    *,
    with_sharing: bool = True,
    limits: Limits | None = None,
    webhook: Webhook | None = None,
    deprecated: date | None = None,
    sunset: date | None = None,
    successor: str = "",
) -> Callable[[Class], Class]:
    """Publish the class below `/services/apexrest` at `url_mapping`.

    The mapping begins with `/`, is case-sensitive and may end with `/*`, which matches everything below it and the
    address itself. Of several mappings that match, the longest wins, an exact one before all others. Its first step
    names the version if it looks like one (`/v1/…`). An instance is made for each request, without arguments.

    `with_sharing`: whether the methods see and change only records that are shared with the calling user. `limits`:
    what is narrower here than the settings say. `webhook`: callers sign their requests so, and bring no access token.
    `deprecated`: the day from which callers are told to leave; `sunset`:
    the day after which it may go away; `successor`: the mapping that takes its place.

    Raises `EndpointMisdeclared` or `MappingTaken`.
    """

    def publish(cls: Class) -> Class:
        mapping = registry.normalised(url_mapping)
        if sunset is not None and deprecated is not None and sunset < deprecated:
            raise EndpointMisdeclared(f"{cls.__qualname__} goes away before it is deprecated.")
        registry.register(
            registry.Resource(
                mapping=mapping,
                cls=cls,
                endpoints=_endpoints_of(cls),
                with_sharing=with_sharing,
                limits=limits or Limits(),
                webhook=webhook,
                deprecated=deprecated,
                sunset=sunset,
                successor=registry.normalised(successor) if successor else "",
            )
        )
        return cls

    return publish


class _WithBody(Protocol):
    """`@http_post`, or `@http_post(…)` with what the signature cannot say."""

    @overload
    def __call__(self, method: Method, /) -> Method: ...
    @overload
    def __call__(
        self,
        *,
        query: type | None = None,
        wildcard: str = "",
        needs_idempotency_key: bool = False,
        statuses: Mapping[int, str] | None = None,
        example: Any = None,
    ) -> Callable[[Method], Method]: ...


class _WithoutBody(Protocol):
    """`@http_get`, or `@http_get(…)` with what the signature cannot say."""

    @overload
    def __call__(self, method: Method, /) -> Method: ...
    @overload
    def __call__(
        self,
        *,
        query: type | None = None,
        wildcard: str = "",
        needs_idempotency_key: bool = False,
        statuses: Mapping[int, str] | None = None,
    ) -> Callable[[Method], Method]: ...


def _decorator(http_method: str) -> Any:
    """Return the decorator for one HTTP method; it works with and without being called."""

    def decorate(method: Any = None, /, *, statuses: Mapping[int, str] | None = None, **options: Any) -> Any:
        told = MethodOptions(statuses=statuses or {}, **options)
        if told.needs_idempotency_key and http_method in SAFE_METHODS:
            raise EndpointMisdeclared(f"@http_{http_method.lower()} changes nothing, so it needs no Idempotency-Key.")
        if method is not None:
            return _marked(method, http_method, told)
        return lambda given: _marked(given, http_method, told)

    return decorate


http_get: _WithoutBody = _decorator("GET")
"""Lets the method answer GET (and HEAD). It has no parameters: path and query are in `context.request`.

`query`: a dataclass of the query parameters; they are read strictly, and `context.query(…)` returns them.
For the documentation: `wildcard` names what the mapping's `*` stands for, `statuses` what else it answers.
"""

http_post: _WithBody = _decorator("POST")
"""Lets the method answer POST. Its parameters are read from the body.

Beside what `http_get` takes: `needs_idempotency_key` refuses requests without an `Idempotency-Key`, which are otherwise
taken, too; `example` is a body for the documentation.
"""

http_put: _WithBody = _decorator("PUT")
"""Lets the method answer PUT; see `http_post`."""

http_patch: _WithBody = _decorator("PATCH")
"""Lets the method answer PATCH; see `http_post`."""

http_delete: _WithoutBody = _decorator("DELETE")
"""Lets the method answer DELETE. It has no parameters; see `http_get`, and `http_post` for the key."""


def _marked(method: Method, http_method: str, options: MethodOptions) -> Method:
    if not inspect.isfunction(method):
        raise EndpointMisdeclared(f"@http_{http_method.lower()} takes an ordinary method, not {method!r}.")
    if inspect.iscoroutinefunction(method) or inspect.isgeneratorfunction(method):
        raise EndpointMisdeclared(
            f"{method.__qualname__} is asynchronous or a generator; an endpoint's method is an ordinary one, because "
            "it runs in a database transaction."
        )
    if hasattr(method, _MARK):
        raise EndpointMisdeclared(f"{method.__qualname__} answers two HTTP methods; write one method for each.")
    setattr(method, _MARK, (http_method, options))
    return method


def _endpoints_of(cls: type) -> dict[str, Endpoint]:
    if not isinstance(cls, type):
        raise EndpointMisdeclared(f"@rest_resource takes a class, not {cls!r}.")
    found: dict[str, Endpoint] = {}
    for name, member in inspect.getmembers_static(cls):
        function = member.__func__ if isinstance(member, staticmethod | classmethod) else member
        mark = getattr(function, _MARK, None)
        if mark is None:
            continue
        http_method, options = mark
        if function is not member:
            raise EndpointMisdeclared(f"{cls.__qualname__}.{name} is a static or class method; write an ordinary one.")
        if http_method in found:
            both = f"{found[http_method].name} and {name}"
            raise EndpointMisdeclared(f"{cls.__qualname__} has two methods for {http_method}: {both}.")
        found[http_method] = Endpoint.of(cls, name, function, http_method, options)
    if any(_is_needed(parameter) for parameter in inspect.signature(cls).parameters.values()):
        raise EndpointMisdeclared(f"{cls.__qualname__} must be made without arguments: one is made for each request.")
    if not found:
        raise EndpointMisdeclared(f"{cls.__qualname__} answers no HTTP method; mark its methods with @http_post etc.")
    return found


def _is_needed(parameter: inspect.Parameter) -> bool:
    gathers = parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
    return not gathers and parameter.default is parameter.empty
