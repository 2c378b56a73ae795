"""The OpenAPI document of a version."""

import inspect
from collections.abc import Iterator
from typing import Any

from django.conf import settings
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.plumbing import ComponentRegistry, ResolvedComponent

from apexrest import registry
from apexrest.admission import limits_in_force
from apexrest.documentation.schemas import Schema, Schemas
from apexrest.idempotency import HEADER, REPLAYED
from apexrest.registry import HTTP_METHODS, Resource
from apexrest.signatures import SAFE_METHODS, Endpoint
from apexrest.views import EndpointView
from isthmus.access.models import Scope

__all__ = ["MAPPING", "UNVERSIONED", "document_of", "operation_id", "versions"]

MAPPING = "x-url-mapping"
"""The member of an operation that names the resource's URL mapping: one may stand behind two paths."""
UNVERSIONED = "unversioned"
"""Stands for resources whose mapping names no version."""

_JSON, _XML, _PROBLEM = "application/json", "application/xml", "application/problem+json"
_REFUSALS = {
    400: "The request is not what this endpoint takes.",
    401: "The access token is missing, unknown or expired.",
    403: "The caller may not do this, not from there, or not any more today.",
    404: "There is nothing at this address.",
    405: "The endpoint has no such method.",
    409: "The first request with this Idempotency-Key is still running.",
    413: "The body is larger than this endpoint takes.",
    415: "The body is neither JSON nor XML in UTF-8.",
    422: "The Idempotency-Key came with another request before.",
    429: "Too many requests, at once or in a while.",
    500: "The endpoint failed; the answer names the id to tell support.",
    503: "The request took too long and was undone.",
}
_BODY_ONLY = {413, 415}
_UNSAFE_ONLY = {409, 422}


def versions() -> list[str]:
    """Return the versions there are, the newest first, resources without one last."""
    found = {resource.version for resource in registry.all_resources()}
    named = sorted((version for version in found if version), key=_number, reverse=True)
    return [*named, *([UNVERSIONED] if "" in found else [])]


def document_of(version: str) -> dict[str, Any] | None:
    """Return the OpenAPI 3.1 document of a version, `None` when there is no such version."""
    if version not in versions():
        return None
    wanted = "" if version == UNVERSIONED else version
    resources = [resource for resource in registry.all_resources() if resource.version == wanted]
    generator: Any = _Generator(resources)
    document: dict[str, Any] = generator.get_schema(public=True)
    document["openapi"] = "3.1.0"
    document["info"] = {
        "title": f"Custom REST endpoints, {version}",
        "version": version,
        "description": _description(resources),
    }
    document["servers"] = [{"url": f"{settings.BASE_URL}/services/apexrest"}]
    document.setdefault("components", {})["securitySchemes"] = {"OAuth2": _oauth()}
    return document


def operation_id(resource: Resource, endpoint: Endpoint, *, at_item: bool) -> str:
    """Return the id of an operation: class and method, and `_item` where the address goes on."""
    name = endpoint.name
    if at_item:
        taken = {one.name for one in resource.endpoints.values()}
        name += "_item"
        while name in taken:
            name += "_"
    return f"{resource.cls.__qualname__.replace('.', '_')}_{name}"


class _Generator(SchemaGenerator):
    """Takes its paths from the registry instead of the URL patterns, which know only one."""

    def __init__(self, resources: list[Resource]) -> None:
        super().__init__(patterns=[])
        self._resources = resources

    def _initialise_endpoints(self) -> None:
        self.endpoints = []

    def _get_paths_and_endpoints(self) -> list[tuple[str, str, str, Any]]:
        return [
            (path, path, method, _view(resource, endpoint, at_item))
            for resource in self._resources
            for method, endpoint in _in_order(resource)
            for path, at_item in _paths(resource, endpoint)
        ]


class _OperationSchema(AutoSchema):
    """Describes one method of one resource."""

    def __init__(self, resource: Resource, endpoint: Endpoint, *, at_item: bool) -> None:
        super().__init__()
        self._resource = resource
        self._endpoint = endpoint
        self._at_item = at_item

    def get_operation(
        self, path: str, path_regex: str, path_prefix: str, method: str, registry: ComponentRegistry
    ) -> dict[str, Any]:
        """Return the operation."""
        resource, endpoint = self._resource, self._endpoint
        summary, _, rest = (inspect.getdoc(getattr(resource.cls, endpoint.name)) or "").partition("\n")
        operation: dict[str, Any] = {
            MAPPING: resource.mapping,
            "operationId": operation_id(resource, endpoint, at_item=self._at_item),
            "tags": [resource.cls.__name__],
            "summary": summary or f"{endpoint.http_method} {resource.mapping}",
            "description": self._told(rest.strip()),
            "parameters": self._parameters(registry),
            "responses": self._responses(registry),
        }
        if endpoint.takes_body:
            operation["requestBody"] = self._body(registry)
        operation["security"] = [] if resource.webhook is not None else [{"OAuth2": [str(Scope.API)]}]
        if resource.deprecated is not None:
            operation["deprecated"] = True
        return operation

    def _told(self, rest: str) -> str:
        resource, endpoint = self._resource, self._endpoint
        limits = limits_in_force(resource.mapping, resource.limits)
        told = [
            rest,
            f"Bodies up to {limits.max_body_bytes:,} bytes." if endpoint.takes_body else "",
            f"Each client may send {limits.rate} requests." if limits.rate else "",
            f"At most {limits.concurrency} run at once." if limits.concurrency else "",
            "Callers must come from named networks." if limits.ip_ranges else "",
            f"After {limits.max_seconds:g} s it is undone." if limits.max_seconds else "",
            "" if resource.with_sharing else "Sees records whoever they are shared with.",
            f"Signed deliveries ({resource.webhook.scheme}); no access token." if resource.webhook is not None else "",
            f"Deprecated since {resource.deprecated}." if resource.deprecated else "",
            f"May go away after {resource.sunset}." if resource.sunset else "",
            f"Use {resource.successor} instead." if resource.successor else "",
        ]
        return "\n\n".join(text for text in told if text)

    def _parameters(self, components: ComponentRegistry) -> list[dict[str, Any]]:
        endpoint = self._endpoint
        found: list[dict[str, Any]] = []
        if self._at_item:
            found.append(
                {
                    "name": endpoint.options.wildcard or "wildcard",
                    "in": "path",
                    "required": True,
                    "description": "What comes after the mapping's prefix; it may have slashes.",
                    "schema": {"type": "string", "minLength": 1},
                }
            )
        if endpoint.options.query is not None:
            found += self._query(endpoint.options.query, components)
        if endpoint.http_method not in SAFE_METHODS and self._resource.webhook is None:
            found.append(
                {
                    "name": HEADER,
                    "in": "header",
                    "required": endpoint.options.needs_idempotency_key,
                    "description": "A text of the caller's choice: the same one again has no further effect and gets "
                    "the same answer.",
                    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!#-~]+$"},
                }
            )
        return found

    def _query(self, declared: type, components: ComponentRegistry) -> Iterator[dict[str, Any]]:
        schemas = Schemas(components, is_answer=False)
        whole = schemas._object(declared)  # noqa: SLF001 - the two make one thing
        for name, schema in whole["properties"].items():
            yield {
                "name": name,
                "in": "query",
                "required": name in whole.get("required", []),
                "schema": _without_null(schema),
            }

    def _body(self, components: ComponentRegistry) -> dict[str, Any]:
        endpoint = self._endpoint
        schemas = Schemas(components, is_answer=False)
        whole = schemas.members(endpoint.annotations, endpoint.required)
        taken = endpoint.annotations.items()
        example: Any = {name: schemas.example(annotation, name=name) for name, annotation in taken}
        schema: Schema = whole
        if endpoint.envelope is not None or len(endpoint.annotations) == 1:
            ((name, annotation),) = endpoint.annotations.items()
            bare = schemas.of(annotation)
            schema = {"anyOf": [bare, whole]} if endpoint.envelope is not None else bare
            example = example[name]
        if endpoint.options.example is not None:
            example = endpoint.options.example
        return {
            "required": bool(endpoint.required),
            "content": {_JSON: {"schema": schema, "example": example}, _XML: {"schema": {}}},
        }

    def _responses(self, components: ComponentRegistry) -> dict[str, Any]:
        endpoint, resource = self._endpoint, self._resource
        gives_nothing = endpoint.returns in (None, type(None))
        usual = 204 if gives_nothing else 200
        answers = {usual: "What the method answers." if not gives_nothing else "Done; there is no body."}
        answers |= dict(endpoint.options.statuses)
        schema = {} if gives_nothing else Schemas(components, is_answer=True).of(endpoint.returns)
        found: dict[str, Any] = {}
        for status, text in sorted(answers.items()):
            found[str(status)] = {"description": text, "headers": self._headers()}
            if status < 400 and status not in {204, 304} and not gives_nothing:
                found[str(status)]["content"] = {_JSON: {"schema": schema}, _XML: {"schema": {}}}
            elif status >= 400:
                found[str(status)]["content"] = _refusal_content(components)
        if endpoint.http_method not in SAFE_METHODS and "300" not in found:
            paths = {"type": "array", "items": {"type": "string"}}
            content = {_JSON: {"schema": paths}, _PROBLEM: {"schema": paths}, _XML: {"schema": {}}}
            told = "The reference means several records; the answer lists their paths."
            found["300"] = {"description": told, "headers": self._headers(), "content": content}
        for status, text in _REFUSALS.items():
            is_possible = (
                (endpoint.takes_body or status not in _BODY_ONLY)
                and (endpoint.http_method not in SAFE_METHODS or status not in _UNSAFE_ONLY)
                and (resource.webhook is None or status != 403)
            )
            if is_possible:
                found.setdefault(
                    str(status),
                    {"description": text, "headers": self._headers(), "content": _refusal_content(components)},
                )
        return found

    def _headers(self) -> dict[str, Any]:
        text = {"schema": {"type": "string"}}
        found: dict[str, Any] = {"X-Request-Id": {"description": "The id to name to support.", **text}}
        if self._resource.webhook is None:
            found["Sforce-Limit-Info"] = {"description": "Requests used of those allowed in 24 hours.", **text}
        if self._endpoint.http_method not in SAFE_METHODS:
            found[REPLAYED] = {"description": "`true` if this answer was given before.", **text}
        if self._resource.deprecated is not None:
            found["Deprecation"] = {"description": "Since when it is deprecated (RFC 9745).", **text}
        if self._resource.sunset is not None:
            found["Sunset"] = {"description": "When it may go away (RFC 8594).", **text}
        return found


def _view(resource: Resource, endpoint: Endpoint, at_item: bool) -> EndpointView:
    view = EndpointView()
    view.schema = _OperationSchema(resource, endpoint, at_item=at_item)
    return view


def _in_order(resource: Resource) -> Iterator[tuple[str, Endpoint]]:
    return ((method, resource.endpoints[method]) for method in HTTP_METHODS if method in resource.endpoints)


def _paths(resource: Resource, endpoint: Endpoint) -> list[tuple[str, bool]]:
    """Return the addresses to describe: of a mapping with `*`, what it begins with and what follows.

    A method that names its wildcard is described only for what follows.
    """
    if not resource.mapping.endswith("/*"):
        return [(resource.mapping, False)]
    base = resource.mapping.removesuffix("/*") or "/"
    item = f"{base.rstrip('/')}/{{{endpoint.options.wildcard or 'wildcard'}}}"
    return [(item, True)] if endpoint.options.wildcard else [(base, False), (item, True)]


def _refusal_content(components: ComponentRegistry) -> dict[str, Any]:
    _register(components, "Refusal", _REFUSAL)
    _register(components, "Problem", _PROBLEM_SCHEMA)
    return {
        _JSON: {"schema": {"type": "array", "minItems": 1, "items": {"$ref": "#/components/schemas/Refusal"}}},
        _PROBLEM: {"schema": {"$ref": "#/components/schemas/Problem"}},
        _XML: {"schema": {}},
    }


def _register(components: ComponentRegistry, name: str, schema: Schema) -> None:
    component = ResolvedComponent(name=name, type=ResolvedComponent.SCHEMA, object=name, schema=schema)
    components.register_on_missing(component)


_REFUSAL: Schema = {
    "type": "object",
    "description": "What is wrong, as Salesforce's clients read it.",
    "properties": {
        "message": {"type": "string"},
        "errorCode": {"type": "string"},
        "fields": {"type": "array", "items": {"type": "string"}},
    },
    "required": ["errorCode", "message"],
}
_PROBLEM_SCHEMA: Schema = {
    "type": "object",
    "description": "What is wrong, for who asks for application/problem+json (RFC 9457).",
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "errorCode": {"type": "string"},
        "correlationId": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"field": {"type": "string"}, "pointer": {"type": "string"}},
            },
        },
    },
    "required": ["detail", "errorCode", "status", "title", "type"],
}


def _without_null(schema: Schema) -> Schema:
    """Return the schema of a query parameter, which is left out instead of being null."""
    if "anyOf" not in schema:
        return schema
    parts = [part for part in schema["anyOf"] if part != {"type": "null"}]
    return parts[0] if len(parts) == 1 else {"anyOf": parts}


def _description(resources: list[Resource]) -> str:
    old = [resource.mapping for resource in resources if resource.deprecated is not None]
    told = "Requests may be JSON or XML; answers are what `Accept` prefers. A refusal says everything that is wrong."
    return f"{told}\n\nDeprecated: {', '.join(old)}." if old else told


def _oauth() -> dict[str, Any]:
    base = f"{settings.BASE_URL}/services/oauth2"
    scopes = {str(Scope.API): "Use the API"}
    return {
        "type": "oauth2",
        "flows": {
            "clientCredentials": {"tokenUrl": f"{base}/token", "scopes": scopes},
            "authorizationCode": {
                "authorizationUrl": f"{base}/authorize",
                "tokenUrl": f"{base}/token",
                "refreshUrl": f"{base}/token",
                "scopes": scopes,
            },
        },
    }


def _number(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.removeprefix("v").split("."))
