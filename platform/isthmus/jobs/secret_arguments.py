"""Arguments that are secret: parameters annotated as `isthmus.vault.secret.Secret`.

They lie sealed in a column of their own; where arguments are shown, a mask stands in their place. The function gets
each as a `Secret`. What it then says about itself (log lines, errors, traces, its result) passes a `Redactor`.
"""

import inspect
import json
import types
import typing
from collections.abc import Callable, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, quote_plus

from django.views.decorators.debug import sensitive_variables

from isthmus.jobs.json_values import NotJson, as_json_value
from isthmus.vault.errors import SecretRefused
from isthmus.vault.secret import MASK, Secret

if TYPE_CHECKING:
    from isthmus.jobs.models import Job

__all__ = ["Redactor", "arguments_of", "packed", "secret_parameters", "secrets_of", "unpacked"]

_MOST_BYTES = 100_000


@cache
def secret_parameters(function: Callable[..., Any]) -> frozenset[str]:
    """Return the names of the parameters annotated as `Secret`, or as `Secret | None`.

    Raises `TypeError` where `*args` or `**kwargs` are: their secrets would have no name of their own.
    """
    found: set[str] = set()
    for name, parameter in inspect.signature(function).parameters.items():
        if not _is_secret(_resolved(parameter.annotation, function)):
            continue
        if parameter.kind in {parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD}:
            raise TypeError(f"{function.__qualname__}: name each secret parameter, instead of `{name}`.")
        found.add(name)
    return frozenset(found)


@sensitive_variables()
def secrets_of(arguments: Mapping[str, object], names: frozenset[str]) -> dict[str, str]:
    """Return the texts of the secret arguments; `None` stays an ordinary argument. Raises `NotJson` for others."""
    found: dict[str, str] = {}
    for name in names & arguments.keys():
        value = arguments[name]
        if value is None:
            continue
        text = value.reveal() if isinstance(value, Secret) else value
        if not isinstance(text, str):
            raise NotJson(f"{name} is secret and of type {type(value).__name__}; pass a text or a Secret.")
        as_json_value(text, at=name, limit_bytes=_MOST_BYTES)
        found[name] = text
    return found


@sensitive_variables()
def packed(secrets: Mapping[str, str]) -> Secret | None:
    """Return what the job's column keeps. Raises `NotJson` for the mask, which is nobody's secret."""
    if not secrets:
        return None
    try:
        for text in secrets.values():
            Secret(text)
    except SecretRefused as error:
        raise NotJson(error.message) from error
    return Secret(json.dumps(secrets))


@sensitive_variables()
def unpacked(kept: Secret | None) -> dict[str, Secret]:
    """Return the secret arguments. Raises `VaultError` where they do not open."""
    return {} if kept is None else {name: Secret(text) for name, text in json.loads(kept.reveal()).items()}


def arguments_of(job: "Job") -> dict[str, object]:
    """Return the arguments of a job as its function is given them. Raises `VaultError` where they do not open."""
    return {**job.arguments, **unpacked(job.sealed_arguments)}


class Redactor:
    """Puts the mask in the place of some secrets, in the spellings in which texts quote them."""

    @sensitive_variables()
    def __init__(self, secrets: typing.Iterable[Secret] = ()) -> None:
        spelled = {spelling for secret in secrets for spelling in _spellings(secret.reveal()) if spelling}
        # The longest first: one secret may be a part of another one.
        self._spellings = sorted(spelled, key=len, reverse=True)

    def text(self, text: str) -> str:
        """Return the text without the secrets."""
        for spelling in self._spellings:
            text = text.replace(spelling, MASK)
        return text

    def value(self, value: object) -> object:
        """Return a JSON value without the secrets, in its texts and its keys."""
        if not self._spellings:
            return value
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, list):
            return [self.value(each) for each in value]
        if isinstance(value, dict):
            return {self.text(str(key)): self.value(each) for key, each in value.items()}
        return value


def _spellings(text: str) -> set[str]:
    as_json = {json.dumps(text), json.dumps(text, ensure_ascii=False)}
    return {
        text,
        repr(text)[1:-1],
        *(each[1:-1] for each in as_json),
        quote(text),
        quote(text, safe=""),
        quote_plus(text),
    }


def _resolved(annotation: object, function: Callable[..., Any]) -> object:
    if not isinstance(annotation, str):
        return annotation
    try:
        return typing.get_type_hints(types.SimpleNamespace(__annotations__={"it": annotation}), _names_of(function))[
            "it"
        ]
    except (NameError, TypeError, SyntaxError, AttributeError):
        # Imported for the type checker only: what is called Secret there is taken for one.
        return Secret if "Secret" in annotation else annotation


def _names_of(function: Callable[..., Any]) -> dict[str, Any]:
    return getattr(inspect.unwrap(function), "__globals__", {})


def _is_secret(annotation: object) -> bool:
    if annotation is Secret:
        return True
    return any(_is_secret(each) for each in typing.get_args(annotation))
