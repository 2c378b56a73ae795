"""Which class answers which address."""

import inspect
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date

from apexrest.errors import EndpointMisdeclared, MappingTaken
from apexrest.limits import Limits
from apexrest.signatures import Endpoint
from apexrest.webhooks import Webhook

__all__ = [
    "HTTP_METHODS",
    "Match",
    "Resource",
    "all_resources",
    "match",
    "normalised",
    "register",
    "register_temporarily",
]

HTTP_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
MAX_MAPPING_LENGTH = 255
_WILDCARD = "/*"
_VERSION = re.compile(r"v[0-9]{1,4}(\.[0-9]{1,4})?")


@dataclass(frozen=True, kw_only=True)
class Resource:
    """A published class."""

    mapping: str
    cls: type
    endpoints: Mapping[str, Endpoint]
    """By HTTP method."""
    with_sharing: bool = True
    limits: Limits = field(default_factory=Limits)
    webhook: Webhook | None = None
    """How deliveries are signed; `None`: callers bring an access token."""
    deprecated: date | None = None
    sunset: date | None = None
    successor: str = ""
    """The mapping that takes its place; "" for none."""

    @property
    def version(self) -> str:
        """The first step of the mapping if it names a version (`v1`), else ""."""
        first = self.mapping.split("/", 2)[1]
        return first if _VERSION.fullmatch(first) else ""

    @property
    def name(self) -> str:
        """The class's dotted name."""
        return f"{self.cls.__module__}.{self.cls.__qualname__}"

    @property
    def title(self) -> str:
        """The class's own name."""
        return self.cls.__name__

    @property
    def told(self) -> str:
        """What the class says about itself, "" for nothing."""
        return inspect.getdoc(self.cls) or ""

    @property
    def http_methods(self) -> list[str]:
        """What it answers, in the usual order."""
        return [method for method in HTTP_METHODS if method in self.endpoints]


@dataclass(frozen=True, kw_only=True)
class Match:
    """The resource that answers an address."""

    resource: Resource
    wildcard: str
    """What `*` stands for, without a slash at either end; "" for an exact mapping or the address itself."""


_resources: dict[str, Resource] = {}


def normalised(url_mapping: str) -> str:
    """Return the mapping without a slash at its end. Raises `EndpointMisdeclared` with the rule that it breaks."""
    if not url_mapping.startswith("/"):
        raise EndpointMisdeclared(f"The URL mapping {url_mapping!r} must begin with a slash.")
    if len(url_mapping) > MAX_MAPPING_LENGTH:
        raise EndpointMisdeclared(f"The URL mapping {url_mapping[:40]!r}… is longer than {MAX_MAPPING_LENGTH}.")
    if "//" in url_mapping or not url_mapping.isprintable() or any(sign in url_mapping for sign in " ?#%"):
        raise EndpointMisdeclared(
            f"The URL mapping {url_mapping!r} must be a path as it is after decoding: no blanks, ?, #, %, //."
        )
    exact = url_mapping.removesuffix(_WILDCARD)
    if "*" in exact:
        raise EndpointMisdeclared(f"The URL mapping {url_mapping!r} may have one *, at its end and after a slash.")
    return url_mapping if exact != url_mapping else url_mapping.rstrip("/") or "/"


def register(resource: Resource) -> None:
    """Publish a resource. Raises `MappingTaken` when another class has its mapping."""
    if taken := _resources.get(resource.mapping):
        raise MappingTaken(
            f"The URL mapping {resource.mapping} belongs to {taken.name}; {resource.name} needs another."
        )
    _resources[resource.mapping] = resource


@contextmanager
def register_temporarily() -> Iterator[None]:
    """Forget, at the end of the block, every resource that was published in it (for tests)."""
    before = dict(_resources)
    try:
        yield
    finally:
        _resources.clear()
        _resources.update(before)


def all_resources() -> list[Resource]:
    """Return every resource, by mapping."""
    return sorted(_resources.values(), key=lambda resource: resource.mapping)


def match(path: str) -> Match | None:
    """Return who answers `path`: an exact mapping, else the longest that ends with `*`, else `None`."""
    steps = [step for step in path.split("/") if step]
    if exact := _resources.get("/" + "/".join(steps)):
        return Match(resource=exact, wildcard="")
    for length in range(len(steps), -1, -1):
        prefix = "".join(f"/{step}" for step in steps[:length])
        if found := _resources.get(prefix + _WILDCARD):
            return Match(resource=found, wildcard="/".join(steps[length:]))
    return None
