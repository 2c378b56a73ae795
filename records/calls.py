"""What the record API is asked and what it answers, without HTTP around it.

A request and a part of a composite request are the same thing here, so both go through the same code.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from django.contrib.auth.models import User
from django.utils.datastructures import CaseInsensitiveMapping

from records.errors import BodyRefused

__all__ = ["MAX_BODY_DEPTH", "Answer", "Call", "json_value"]

MAX_BODY_DEPTH = 64
"""How deep the JSON of a body may be nested."""


@dataclass(frozen=True, kw_only=True)
class Call:
    """One thing asked of the API."""

    method: str
    path: str
    """Below the version, decoded, without slashes at its ends: `sobjects/Account/001…`."""
    version: str
    """Such as `67.0`."""
    user: User
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=lambda: CaseInsensitiveMapping({}))
    body: Any = None
    """The JSON value of the body; bytes where it is not read yet; `None` for none."""
    client: str = ""
    """What the caller calls itself (`Sforce-Call-Options`), "" when it does not say."""
    within: str = ""
    """The resource of which this is a part: `composite`, `batch`, `graph`; "" for a request by itself."""

    @property
    def base(self) -> str:
        """The path of the version: `/services/data/v67.0`."""
        return f"/services/data/v{self.version}"

    def json(self) -> Any:
        """Return the value of the body. Raises `BodyRefused` for what is not JSON."""
        return json_value(self.body) if isinstance(self.body, bytes) else self.body

    def json_object(self) -> dict[str, Any]:
        """Return the object in the body. Raises `BodyRefused` for anything else."""
        found = self.json()
        if not isinstance(found, Mapping):
            raise BodyRefused
        return cast("dict[str, Any]", found)

    def flag(self, name: str) -> bool:
        """Return whether the query says `true` for this name."""
        return self.query.get(name, "").strip().lower() == "true"


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What is answered."""

    status: int = 200
    body: Any = None
    """What becomes JSON; `None` for an answer without a body; bytes are sent as they are."""
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def succeeded(self) -> bool:
        """Whether what was asked for was done."""
        return self.status < 300 or self.status == 304


def json_value(raw: bytes) -> Any:
    """Return the JSON value in `raw`, `None` for nothing at all.

    Raises `BodyRefused` for what is no JSON (RFC 8259), is not in UTF-8, or is nested too deep.
    """
    if not raw.strip():
        return None
    try:
        found = json.loads(raw, parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        raise BodyRefused(f"{error.msg} at [line:{error.lineno}, column:{error.colno}]") from error
    except UnicodeDecodeError as error:
        raise BodyRefused("The request body is not in UTF-8.") from error
    except RecursionError as error:
        raise BodyRefused("The request body is nested too deep.") from error
    except ValueError as error:
        raise BodyRefused(str(error)) from error
    if rb"\ud" in raw.lower() and not _is_encodable(found):
        raise BodyRefused("The request body has half a surrogate pair, which is no character.")
    if _depth_passes(found, MAX_BODY_DEPTH):
        raise BodyRefused(f"The request body is nested deeper than {MAX_BODY_DEPTH} levels.")
    return found


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not a JSON value.")


def _is_encodable(value: Any) -> bool:
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    except RecursionError as error:
        raise BodyRefused("The request body is nested too deep.") from error
    return True


def _depth_passes(value: Any, most: int) -> bool:
    level = [value]
    for _ in range(most):
        level = [
            below
            for one in level
            if isinstance(one, dict | list)
            for below in (one.values() if isinstance(one, dict) else one)
            if isinstance(below, dict | list)
        ]
        if not level:
            return False
    return True
