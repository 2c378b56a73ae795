"""API keys and whatever else is a header or a query parameter: written as templates over the principal's parameters."""

import re
from collections.abc import Mapping
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from django.views.decorators.debug import sensitive_variables
from requests import PreparedRequest

from credentials.errors import SecretRefused, SettingsRefused
from credentials.protocols.base import AuthenticationProtocol, RequestFlow
from credentials.protocols.options import ProtocolOption, SettingValue
from credentials.protocols.templates import Template

__all__ = ["CustomHeaders"]

# https://www.rfc-editor.org/rfc/rfc9110#section-5.6.2
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", re.ASCII)
_QUERY_NAME = re.compile(r"[A-Za-z0-9._~-]+", re.ASCII)
_OURS = {
    "connection", "content-encoding", "content-length", "expect", "host", "keep-alive", "proxy-authorization",
    "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade",
}  # fmt: skip
_MOST = 20


class CustomHeaders(AuthenticationProtocol):
    """Sends headers and query parameters that are made from the principal's parameters."""

    name = "custom_headers"
    label = "API key or custom headers"
    options = (
        ProtocolOption(
            name="headers",
            label="Headers",
            type="long_text",
            help_text="One a line, such as `X-Api-Key: {ApiKey}`. A name in braces is a parameter, which each "
            "principal holds as a secret; {Name|base64} encodes it (base64, base64url, hex, lower, upper, urlencode).",
        ),
        ProtocolOption(
            name="query",
            label="Query parameters",
            type="long_text",
            help_text="One a line, such as `api_key={ApiKey}`. Headers are better: addresses end up in logs.",
        ),
    )

    @classmethod
    def refuse_settings(cls, settings: Mapping[str, SettingValue]) -> None:
        headers, query = _parsed(settings)
        if not headers and not query:
            raise SettingsRefused("Give a header or a query parameter.", fields=["headers"])

    @classmethod
    def secret_options(cls, settings: Mapping[str, object]) -> list[ProtocolOption]:
        headers, query = _parsed(settings)
        names = {name for template in (*headers.values(), *query.values()) for name in template.parameters}
        return [ProtocolOption(name=name, label=name, is_required=True, is_sensitive=True) for name in sorted(names)]

    @classmethod
    def masked_names(cls, settings: Mapping[str, object]) -> frozenset[str]:
        headers, query = _parsed(settings)
        return frozenset(name.lower() for name, template in (*headers.items(), *query.items()) if template.parameters)

    def flow(self, request: PreparedRequest) -> RequestFlow:
        yield self._signed(request)

    # Apart from the generator, whose frames the decorator does not reach.
    @sensitive_variables()
    def _signed(self, request: PreparedRequest) -> PreparedRequest:
        headers, query = _parsed(self.settings)
        values = {option.name: self.secrets[option.name].reveal() for option in self.secret_options(self.settings)}
        signed = request.copy()
        for name, template in headers.items():
            signed.headers[name] = _refuse_line_breaks(template.render(values), name)
        if query:
            added = {name: template.render(values) for name, template in query.items()}
            signed.url = _with_query(str(signed.url), added)
        return signed


@sensitive_variables()
def _with_query(url: str, added: Mapping[str, str]) -> str:
    parts = urlsplit(url)
    kept = [pair for pair in parse_qsl(parts.query, keep_blank_values=True) if pair[0] not in added]
    return urlunsplit(parts._replace(query=urlencode([*kept, *added.items()])))


@sensitive_variables()
def _refuse_line_breaks(value: str, name: str) -> str:
    if any(character in value for character in "\r\n\0"):
        raise SecretRefused(f"The header {name} would hold a line break. Enter its parameters again.")
    return value


def _parsed(settings: Mapping[str, object]) -> tuple[dict[str, Template], dict[str, Template]]:
    return (
        _lines(str(settings.get("headers", "")), ":", _TOKEN, "headers"),
        _lines(str(settings.get("query", "")), "=", _QUERY_NAME, "query"),
    )


def _lines(text: str, separator: str, names: re.Pattern[str], option: str) -> dict[str, Template]:
    found: dict[str, Template] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        name, given, template = line.partition(separator)
        name = name.strip()
        if not given or not names.fullmatch(name):
            raise SettingsRefused(f"Line {number} of {option} is not `name{separator} text`.", fields=[option])
        if name.lower() in _OURS:
            raise SettingsRefused(f"The header {name} is the platform's own.", fields=[option])
        if name.lower() in {each.lower() for each in found}:
            raise SettingsRefused(f"{name} stands twice in {option}.", fields=[option])
        try:
            found[name] = Template.parse(template.strip())
        except SettingsRefused as error:
            raise SettingsRefused(f"Line {number} of {option}: {error.message}", fields=[option]) from None
    if len(found) > _MOST:
        raise SettingsRefused(f"More than {_MOST} lines in {option}.", fields=[option])
    return found
