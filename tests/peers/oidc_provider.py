"""Runs oidc-provider (tests/peers/oidc_provider.mjs) as a process, and is a person who consents at its pages."""

import json
import os
import re
import shutil
import socket
import subprocess
from pathlib import Path
from urllib.parse import urljoin

import pytest
import requests

__all__ = ["OidcProvider", "require_oidc_provider"]

HERE = Path(__file__).resolve().parent


def require_oidc_provider():
    """Leave the test out, saying so, where node or the package is missing; where everything must run, fail."""
    if shutil.which("node") and (HERE / "node_modules" / "oidc-provider").exists():
        return
    reason = "npm's oidc-provider is not installed: `make test` installs it where npm is there."
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


class OidcProvider:
    """The server while it is entered."""

    def __init__(self, *, redirect_uri, public_key_pem, access_token_seconds=600):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.issuer = f"http://127.0.0.1:{self.port}"
        self._setup = {
            "port": self.port,
            "redirectUri": redirect_uri,
            "publicKeyPem": public_key_pem,
            "accessTokenSeconds": access_token_seconds,
        }

    def __enter__(self):
        self._process = subprocess.Popen(
            ["node", "oidc_provider.mjs"],
            cwd=HERE,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self._process.stdin.write(json.dumps(self._setup) + "\n")
        self._process.stdin.flush()
        for line in self._process.stdout:
            if line.strip() == "ready":
                return self
        raise RuntimeError(f"oidc-provider ended with status {self._process.wait()}.")

    def __exit__(self, *_):
        self._process.kill()
        self._process.wait()
        self._process.stdin.close()
        self._process.stdout.close()

    def consent(self, url, *, login="ada", refuse=False):
        """Go through the pages as a person would; return the address to which the browser is sent back."""
        with requests.Session() as browser:
            browser.trust_env = False
            answer = browser.get(url, allow_redirects=False)
            while True:
                location = answer.headers.get("Location")
                if location and not urljoin(url, location).startswith(self.issuer):
                    return location
                if location:
                    answer = browser.get(urljoin(url, location), allow_redirects=False)
                    continue
                page = answer.text
                if refuse:
                    abort = re.search(r'href="([^"]*/abort)"', page)
                    answer = browser.get(urljoin(url, abort[1]), allow_redirects=False)
                    continue
                action = re.search(r'<form[^>]*action="([^"]+)"', page)[1]
                prompt = re.search(r'name="prompt" value="(\w+)"', page)[1]
                answer = browser.post(
                    urljoin(url, action),
                    data={"prompt": prompt, "login": login, "password": "any"},
                    allow_redirects=False,
                )

    def introspect(self, token):
        """Return what the server knows of a token."""
        answer = requests.post(  # noqa: TID251 - a caller from outside
            f"{self.issuer}/token/introspection", data={"token": token}, auth=("web", "web-secret"), timeout=10
        )
        return answer.json()
