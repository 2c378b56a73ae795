"""Custom REST endpoints: a Python class becomes a permission-guarded endpoint.

In an app's `rest_resources.py`:

    @rest_resource("/v1/greetings/*")
    class Greetings:
        @http_post
        def create(self, greeting: Greeting) -> Greeted: ...
"""

from apexrest.decorators import http_delete, http_get, http_patch, http_post, http_put, rest_resource
from apexrest.errors import EndpointError, EndpointRefused
from apexrest.rest_context import RestRequest, RestResponse, context

__all__ = [
    "EndpointError",
    "EndpointRefused",
    "RestRequest",
    "RestResponse",
    "context",
    "http_delete",
    "http_get",
    "http_patch",
    "http_post",
    "http_put",
    "rest_resource",
]
