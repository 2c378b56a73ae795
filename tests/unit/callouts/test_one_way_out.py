"""Only the egress gate opens connections: no other module of the packages imports what could."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
PACKAGES = ("platform/isthmus", "credentials", "callouts", "events", "apexrest", "crm", "records", "flows", "virtual")
GATE = ROOT / "callouts" / "egress"
OPENERS = (
    "socket", "ssl", "http.client", "urllib.request", "urllib3", "requests.adapters.HTTPAdapter", "requests.get",
    "requests.post", "requests.put", "requests.patch", "requests.delete", "requests.head", "requests.options",
    "requests.request", "requests.session", "requests.sessions", "requests.api", "httpx", "aiohttp", "smtplib",
    "ftplib", "telnetlib", "xmlrpc.client", "asyncio.open_connection", "authlib.integrations",
)  # fmt: skip
HARMLESS = {
    # The machine's own name opens nothing.
    "socket.gethostname",
    # The table of status codes and their names.
    "http.client.responses",
}
# `CalloutSession` derives from it and takes every adapter out that could send.
# The supervisor asks its own web process on this machine whether it is up.
ALLOWED = {
    ("callouts/sessions.py", "requests.Session"),
    # The vault's key server, at an address that only the operator's environment names.
    ("platform/isthmus/vault/providers/transit.py", "requests.Session"),
    ("platform/isthmus/supervisor.py", "urllib.request.urlopen"),
    # The guard that tests put around every socket.
    ("callouts/testing.py", "socket.socket"),
    ("callouts/testing.py", "socket.socket.connect"),
    ("callouts/testing.py", "socket.socket.connect_ex"),
    ("callouts/testing.py", "socket.AF_INET"),
    ("callouts/testing.py", "socket.AF_INET6"),
    # Datagrams to the processes of this machine that wait for something to do.
    ("events/crash_matrix/nats.py", "socket.socket"),  # finds a free port on the loopback interface
    ("platform/isthmus/wakeups.py", "socket.socket"),
    ("platform/isthmus/wakeups.py", "socket.AF_INET"),
    ("platform/isthmus/wakeups.py", "socket.SOCK_DGRAM"),
}


def modules():
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            if GATE not in path.parents:
                yield path


def names_used(tree):
    """Yield the dotted name of every import, and of every attribute of something that was imported."""
    imported = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for name in node.names:
                imported[name.asname or name.name.split(".")[0]] = name.name if name.asname else name.name.split(".")[0]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for name in node.names:
                imported[name.asname or name.name] = f"{node.module}.{name.name}"
                yield f"{node.module}.{name.name}"
    inner = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    for node in ast.walk(tree):
        if id(node) in inner:
            continue
        parts = []
        while isinstance(node, ast.Attribute):
            parts.append(node.attr)
            node = node.value
        if parts and isinstance(node, ast.Name) and node.id in imported:
            yield ".".join([imported[node.id], *reversed(parts)])


def offences(source):
    found = set()
    for name in names_used(ast.parse(source)):
        is_session = name == "requests.Session" or name.startswith("requests.Session.")
        is_opener = any(name == opener or name.startswith(f"{opener}.") for opener in OPENERS)
        is_harmless = any(name == harmless or name.startswith(f"{harmless}.") for harmless in HARMLESS)
        if (is_opener or is_session) and not is_harmless:
            found.add(name)
    return found


def test_no_other_module_can_open_a_connection():
    found = {(str(path.relative_to(ROOT)), name) for path in modules() for name in offences(path.read_text())}
    assert found - ALLOWED == set()


@pytest.mark.parametrize(
    "source",
    [
        "import socket\nsocket.create_connection(('x', 1))",
        "from socket import create_connection",
        "import requests\nrequests.get('http://x')",
        "import requests as r\nr.Session().get('http://x')",
        "from requests import Session",
        "from requests.sessions import Session",
        "import urllib.request\nurllib.request.urlopen('http://x')",
        "from urllib.request import urlopen",
        "import http.client\nhttp.client.HTTPSConnection('x')",
        "from urllib3 import PoolManager",
        "from requests.adapters import HTTPAdapter",
    ],
)
def test_the_rule_sees_the_ways_out(source):
    assert offences(source)


def test_the_rule_lets_harmless_uses_pass():
    assert offences("import socket, http.client\nsocket.gethostname()\nhttp.client.responses.get(200)") == set()
    assert offences("import requests\nrequests.Request('GET', 'x').prepare()\nrequests.Response()") == set()
