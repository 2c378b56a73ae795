"""Arguments and results are JSON and nothing else: what a worker reads is what the caller gave."""

import json
import math

__all__ = ["NotJson", "as_json_value"]


class NotJson(ValueError):
    """A value that JSON cannot carry; the text says where it is and what it is."""


def as_json_value(value: object, *, at: str = "", limit_bytes: int) -> object:
    """Return `value` as JSON will give it back (tuples become lists). `at` names it in errors.

    Raises `NotJson` for every other type, non-text keys, numbers that JSON lacks, and what takes more than
    `limit_bytes`.
    """
    plain = _plain(value, at)
    size = len(json.dumps(plain, ensure_ascii=False).encode())
    if size > limit_bytes:
        raise NotJson(f"{at or 'the value'} takes {size} bytes of JSON; the limit is {limit_bytes}.")
    return plain


def _plain(value: object, at: str) -> object:
    if value is None or isinstance(value, bool) or type(value) is int:
        return value
    if isinstance(value, str):
        return _text(value, at)
    if type(value) is float:
        if not math.isfinite(value):
            raise NotJson(f"{at or 'the value'} is {value}, which JSON has no number for.")
        return value
    if isinstance(value, list | tuple):
        return [_plain(item, f"{at}[{index}]") for index, item in enumerate(value)]
    if isinstance(value, dict):
        return {_key(key, at): _plain(item, f"{at}.{key}" if at else str(key)) for key, item in value.items()}
    raise NotJson(f"{at or 'the value'} is of type {type(value).__name__}; pass ids, text, numbers, lists and dicts.")


def _text(value: str, at: str) -> str:
    # PostgreSQL's jsonb holds neither; refusing them everywhere keeps both databases alike.
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise NotJson(f"{at or 'the value'} holds a lone surrogate, which the database cannot keep.") from error
    if "\x00" in value:
        raise NotJson(f"{at or 'the value'} holds a NUL, which the database cannot keep.")
    return str(value)


def _key(key: object, at: str) -> str:
    if not isinstance(key, str):
        raise NotJson(f"{at or 'the value'} has a key of type {type(key).__name__}; keys are text.")
    return _text(key, at)
