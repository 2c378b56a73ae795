"""What a protocol lets people set: declared once; form, check and documentation come from the same list."""

import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias
from urllib.parse import urlsplit

from django.views.decorators.debug import sensitive_variables

from credentials.errors import CredentialRefused, OutsideOrigin, SecretRefused, SettingsRefused
from credentials.origins import refuse_unsafe_characters

__all__ = ["ProtocolOption", "SettingValue", "cleaned_secrets", "cleaned_settings", "problem_with_url"]

SettingValue: TypeAlias = str | int | bool
_MAXIMUM_TEXT = 8_000
_IN_PYTHON = {
    "text": str,
    "long_text": str,
    "url": str,
    "number": int,
    "checkbox": bool,
    "certificate": str,
    "principal": str,
}


@dataclass(frozen=True, kw_only=True)
class ProtocolOption:
    """One thing to set. Sensitive ones are secrets of a principal, the others settings of an external credential."""

    name: str
    label: str
    type: Literal["text", "long_text", "url", "number", "checkbox", "certificate", "principal"] = "text"
    """`url` is the absolute address of an endpoint, `certificate` the name of one that has a private key, `principal`
    the target of another principal (`ExternalCredential.Principal`); `long_text` has lines."""
    default: SettingValue = ""
    is_required: bool = False
    is_sensitive: bool = False
    help_text: str = ""
    endpoint: str = ""
    """Which address of an identity provider stands in where none is given; "" for none."""
    choices: Sequence[tuple[str, str]] = ()
    """Value and label of each allowed value; empty: any."""
    validate: Callable[[SettingValue], str | None] | None = None
    """Returns a sentence that says what is wrong, or `None`. The sentence of a sensitive option never quotes it."""

    @sensitive_variables()
    def problem_with(self, value: object) -> str | None:
        """Return what is wrong with `value` in a sentence, or `None`."""
        if value.__class__ is not _IN_PYTHON[self.type]:
            return f"{self.label} takes a {self.type} value."
        if self.is_required and value == "":
            return f"{self.label} is required."
        if isinstance(value, str) and value and (wrong := self._problem_with_text(value)):
            return wrong
        if self.validate is None or value == "":
            return None
        return self.validate(value)  # type: ignore[arg-type]  # its type was compared above, in a way mypy cannot follow

    @sensitive_variables()
    def _problem_with_text(self, value: str) -> str | None:
        if len(value) > _MAXIMUM_TEXT:
            return f"{self.label} is longer than {_MAXIMUM_TEXT:,} characters."
        lines = value.split("\n") if self.type == "long_text" else [value]
        if any(unicodedata.category(character) in {"Cc", "Cs"} for line in lines for character in line):
            return f"{self.label} holds a control character, perhaps a line break that was copied along."
        if self.choices and value not in {allowed for allowed, _ in self.choices}:
            return f"{self.label} takes one of: {', '.join(allowed for allowed, _ in self.choices)}."
        return problem_with_url(value) if self.type == "url" else None


def cleaned_settings(
    options: Sequence[ProtocolOption],
    given: Mapping[str, object],
    *,
    refuse: Callable[[Mapping[str, SettingValue]], None] | None = None,
) -> dict[str, SettingValue]:
    """Return the settings with their defaults filled in. Raises `SettingsRefused` naming everything that is wrong.

    `refuse` raises it for what does not fit together.
    """
    declared = {option.name: option for option in options if not option.is_sensitive}
    _refuse_unknown(SettingsRefused, declared, given)
    filled = {name: given.get(name, option.default) for name, option in declared.items()}
    _refuse_problems(SettingsRefused, {name: option.problem_with(filled[name]) for name, option in declared.items()})
    cleaned: dict[str, SettingValue] = filled  # type: ignore[assignment]  # problem_with compared each value's type
    if refuse is not None:
        refuse(cleaned)
    return cleaned


@sensitive_variables()
def cleaned_secrets(options: Sequence[ProtocolOption], given: Mapping[str, str]) -> dict[str, str]:
    """Return the given secrets if each fits its option; not all need be given. Raises `SecretRefused`."""
    declared = {option.name: option for option in options if option.is_sensitive}
    _refuse_unknown(SecretRefused, declared, given)
    _refuse_masks(given)
    _refuse_problems(SecretRefused, {name: declared[name].problem_with(value) for name, value in given.items()})
    return dict(given)


@sensitive_variables()
def _refuse_masks(given: Mapping[str, str]) -> None:
    """Raise `SecretRefused` for what stands for a secret on a screen, sent back as if it were one."""
    texts = {name: value for name, value in given.items() if isinstance(value, str)}
    masked = sorted(name for name, value in texts.items() if len(value) > 2 and not value.strip("*•●"))
    if masked:
        raise SecretRefused("A mask was given as the secret. Leave it out to keep what is there.", fields=masked)


def problem_with_url(url: str) -> str | None:
    """Return what keeps `url` from being the address of an endpoint, in a sentence, or `None`."""
    try:
        refuse_unsafe_characters(url)
        parts = urlsplit(url)
        is_address = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0 and " " not in url
    except (OutsideOrigin, ValueError):
        is_address = False
    if not is_address:
        return "The URL is not an absolute address that begins with https:// (or http:// inside the house)."
    if "@" in parts.netloc or "#" in url:
        return "The URL holds a user name, password or fragment; leave it out."
    return None


def _refuse_unknown(
    refusal: type[CredentialRefused], declared: Mapping[str, ProtocolOption], given: Mapping[str, object]
) -> None:
    unknown = sorted(given.keys() - declared.keys())
    if unknown:
        known = ", ".join(declared) or "none"
        raise refusal(f"Unknown: {', '.join(unknown)}. The protocol knows: {known}.", fields=unknown)


def _refuse_problems(refusal: type[CredentialRefused], problems: Mapping[str, str | None]) -> None:
    found = {name: problem for name, problem in problems.items() if problem}
    if found:
        raise refusal(" ".join(found.values()), fields=tuple(found))
