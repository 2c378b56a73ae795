"""Answers as values of a type: a dataclass, a list of them, a mapping."""

from typing import Any, TypeVar

import msgspec
import requests

from callouts.errors import AnswerDoesNotFit, ErrorAnswered

__all__ = ["as_type"]

T = TypeVar("T")


def as_type(answer: requests.Response, wanted: type[T]) -> T:
    """Return the answer's JSON as a value of the type `wanted`; further fields are left out.

    Raises `ErrorAnswered` for a status of 400 or more, and `AnswerDoesNotFit`, which names the field.
    """
    if answer.status_code >= 400:
        raise ErrorAnswered(f"The other side answered {answer.status_code}.", response=answer)
    try:
        return msgspec.json.decode(answer.content, type=wanted)
    except msgspec.ValidationError as error:
        what, field = _what_and_where(error)
        raise AnswerDoesNotFit(
            f"The answer does not fit {_name(wanted)}: {what}", response=answer, field=field
        ) from None
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise AnswerDoesNotFit(f"The answer is not JSON; {_name(wanted)} was asked for.", response=answer) from None


def _what_and_where(error: msgspec.ValidationError) -> tuple[str, str]:
    # "Expected `int`, got `str` - at `$.address.zip`", or "Object missing required field `name` - at `$[0]`".
    what, mark, where = str(error).rpartition(" - at ")
    field = where.strip("`").removeprefix("$").removeprefix(".") if mark else ""
    what = what if mark else str(error)
    if "missing required field" in what:
        missing = what.rpartition("field ")[2].strip("`")
        field = f"{field}.{missing}" if field else missing
        return f"the field {field} is missing.", field
    return f"{field or 'the whole'}: {what[:1].lower()}{what[1:]}.", field


def _name(wanted: Any) -> str:
    return wanted.__name__ if isinstance(wanted, type) and not hasattr(wanted, "__args__") else str(wanted)
