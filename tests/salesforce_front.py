"""simple-salesforce at the tests' server. It insists on https; the adapter is the TLS front of a real instance."""

from urllib.parse import urlsplit

import requests

__all__ = ["HOST", "Front", "behind"]

HOST = "isthmus.example"


class Front(requests.adapters.HTTPAdapter):
    """Takes every https address to the test's server."""

    def __init__(self, server):
        super().__init__()
        self._server = server

    def send(self, request, **options):
        parts = urlsplit(request.url)
        request.headers["Host"] = urlsplit(self._server).netloc
        request.url = self._server + parts.path + (f"?{parts.query}" if parts.query else "")
        return super().send(request, **options)


def behind(session, live_server):
    """Return the session, on its way to the test's server."""
    session.trust_env = False
    session.mount("https://", Front(live_server.url))
    return session
