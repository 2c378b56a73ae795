"""Conversations with a real service, recorded once and replayed strictly.

A recording is JSON that people can read and review: a list of calls with their answers. Secrets are masked in it as in
the integration log, on both sides; so it can be kept with the tests.
"""

import base64
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import requests

from callouts import redaction
from callouts.egress import Deadline, Route, Sender, Timing

__all__ = ["Recorder", "Replay", "UnlikeRecording"]

_KEPT_HEADERS = {"content-type", "location", "retry-after", "etag", "link"}


class UnlikeRecording(AssertionError):
    """A call is not the one that was recorded."""


class Recorder:
    """Lets calls through and keeps them."""

    def __init__(self, path: Path, sender: Sender) -> None:
        self._path = path
        self._sender = sender
        self._calls: list[dict[str, Any]] = []

    def send(
        self, request: requests.PreparedRequest, *, route: Route, deadline: Deadline, timing: Timing | None, body: bytes
    ) -> requests.Response:
        """Send for real. Raises what the gate raises; what has no answer is not kept."""
        answer = self._sender.send(request, route=route, deadline=deadline, timing=timing)
        url = route.callout_url or request.url or ""
        told = {name: value for name, value in answer.headers.items() if name.lower() in _KEPT_HEADERS}
        self._calls.append(
            {
                "method": request.method,
                "url": redaction.url(url),
                "body": _shown(body, request.headers),
                "answer": {
                    "status": answer.status_code,
                    "headers": told,
                    **_kept(answer.content, answer.headers),
                },
            }
        )
        return answer

    def write(self) -> None:
        """Write the recording. What is there is replaced."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._path.write_text(json.dumps(self._calls, indent=2, ensure_ascii=False) + "\n")


class Replay:
    """Gives recorded answers to exactly the recorded calls, in their order."""

    def __init__(self, path: Path) -> None:
        self._name = path.name
        self._calls: list[dict[str, Any]] = json.loads(path.read_text())
        self._done = 0

    def next(self, method: str, url: str, body: bytes, headers: Mapping[str, str]) -> tuple[int, dict[str, str], bytes]:
        """Return status, headers and body of the answer. Raises `UnlikeRecording`."""
        where = f"call {self._done + 1} of {self._name}"
        if self._done >= len(self._calls):
            raise UnlikeRecording(f"{where}: the recording ends before; {method} {url} is one call too many.")
        recorded = self._calls[self._done]
        for part, now in (("method", method), ("url", redaction.url(url)), ("body", _shown(body, headers))):
            if recorded[part] != now:
                raise UnlikeRecording(f"{where}: its {part} was {recorded[part]!r}, and is {now!r} now.")
        self._done += 1
        answer = recorded["answer"]
        content = base64.b64decode(answer["base64"]) if "base64" in answer else str(answer.get("text", "")).encode()
        return answer["status"], dict(answer["headers"]), content

    def left(self) -> str:
        """Return the first call that was not made, or ""."""
        if self._done >= len(self._calls):
            return ""
        return f"{self._calls[self._done]['method']} {self._calls[self._done]['url']}"


def _content_type(headers: Mapping[str, Any]) -> str:
    return next((str(value) for name, value in headers.items() if name.lower() == "content-type"), "")


def _shown(body: bytes, headers: Mapping[str, Any]) -> str:
    shown = redaction.body(body, _content_type(headers), at_most_bytes=max(len(body) * 2, 1))
    try:
        # The order of keys and blanks mean nothing.
        return json.dumps(json.loads(shown), sort_keys=True, ensure_ascii=False)
    except ValueError:
        return shown


def _kept(content: bytes, headers: Mapping[str, Any]) -> dict[str, str]:
    try:
        content.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(content).decode()}
    kind = _content_type(headers)
    is_opaque = kind.startswith(("image/", "audio/", "video/", "multipart/", "application/octet-stream"))
    text = content.decode() if is_opaque else redaction.body(content, kind, at_most_bytes=max(len(content) * 2, 1))
    # A masked token is still one that a client can carry.
    return {"text": text.replace(redaction.MASK, "masked")}
