"""What turns a class into an endpoint. Everything that can be wrong with it is told here, when it is imported."""

import inspect
from collections.abc import Callable
from typing import Any, TypeVar

from apexrest import registry
from apexrest.errors import EndpointMisdeclared
from apexrest.signatures import Endpoint

__all__ = ["http_delete", "http_get", "http_patch", "http_post", "http_put", "rest_resource"]

Class = TypeVar("Class", bound=type)
Method = TypeVar("Method", bound=Callable[..., Any])

_MARK = "__apexrest_method__"


def rest_resource(url_mapping: str) -> Callable[[Class], Class]:
    """Publish the class below `/services/apexrest` at `url_mapping`.

    The mapping begins with `/`, is case-sensitive and may end with `/*`, which matches everything below it and the
    address itself. Of several mappings that match, the longest wins, an exact one before all others. An instance is
    made for each request, without arguments. Raises `EndpointMisdeclared` or `MappingTaken`.
    """

    def publish(cls: Class) -> Class:
        mapping = registry.normalised(url_mapping)
        endpoints = _endpoints_of(cls)
        registry.register(registry.Resource(mapping=mapping, cls=cls, endpoints=endpoints))
        return cls

    return publish


def http_get(method: Method) -> Method:
    """Let the method answer GET (and HEAD). It has no parameters; see `context.request` for path and query."""
    return _marked(method, "GET")


def http_post(method: Method) -> Method:
    """Let the method answer POST. Its parameters are read from the JSON body."""
    return _marked(method, "POST")


def http_put(method: Method) -> Method:
    """Let the method answer PUT. Its parameters are read from the JSON body."""
    return _marked(method, "PUT")


def http_patch(method: Method) -> Method:
    """Let the method answer PATCH. Its parameters are read from the JSON body."""
    return _marked(method, "PATCH")


def http_delete(method: Method) -> Method:
    """Let the method answer DELETE. It has no parameters; see `context.request` for path and query."""
    return _marked(method, "DELETE")


def _marked(method: Method, http_method: str) -> Method:
    if not inspect.isfunction(method):
        raise EndpointMisdeclared(f"@http_{http_method.lower()} takes an ordinary method, not {method!r}.")
    if inspect.iscoroutinefunction(method) or inspect.isgeneratorfunction(method):
        raise EndpointMisdeclared(
            f"{method.__qualname__} is asynchronous or a generator; an endpoint's method is an ordinary one, because "
            "it runs in a database transaction."
        )
    if hasattr(method, _MARK):
        raise EndpointMisdeclared(f"{method.__qualname__} answers two HTTP methods; write one method for each.")
    setattr(method, _MARK, http_method)
    return method


def _endpoints_of(cls: type) -> dict[str, Endpoint]:
    if not isinstance(cls, type):
        raise EndpointMisdeclared(f"@rest_resource takes a class, not {cls!r}.")
    found: dict[str, Endpoint] = {}
    for name, member in inspect.getmembers_static(cls):
        function = member.__func__ if isinstance(member, staticmethod | classmethod) else member
        http_method = getattr(function, _MARK, None)
        if http_method is None:
            continue
        if function is not member:
            raise EndpointMisdeclared(f"{cls.__qualname__}.{name} is a static or class method; write an ordinary one.")
        if http_method in found:
            both = f"{found[http_method].name} and {name}"
            raise EndpointMisdeclared(f"{cls.__qualname__} has two methods for {http_method}: {both}.")
        found[http_method] = Endpoint.of(cls, name, function, http_method)
    if any(_is_needed(parameter) for parameter in inspect.signature(cls).parameters.values()):
        raise EndpointMisdeclared(f"{cls.__qualname__} must be made without arguments: one is made for each request.")
    if not found:
        raise EndpointMisdeclared(f"{cls.__qualname__} answers no HTTP method; mark its methods with @http_post etc.")
    return found


def _is_needed(parameter: inspect.Parameter) -> bool:
    gathers = parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
    return not gathers and parameter.default is parameter.empty
