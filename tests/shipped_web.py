"""A web process as it is shipped: production settings, collected static files, behind what ends TLS."""

import signal
import socket
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from isthmus import keys
from isthmus.supervisor import web_spec
from tests.processes import migrated_instance, wait_until

__all__ = ["shipped_web"]

SIGNED_IN = """
from django.contrib.auth.models import User
from django.test import Client
from tests import console_samples as samples
samples.make_everything()
client = Client()
client.force_login(User.objects.create_superuser("root"))
print(client.cookies["sessionid"].value)
"""


@contextmanager
def shipped_web(folder: Path) -> Iterator[tuple[str, str]]:
    """Run it over sample rows; give its address and the session cookie of somebody who may do everything."""
    port = _free_port()
    production = {
        "ISTHMUS_ENVIRONMENT": "production",
        "ISTHMUS_BASE_URL": "https://isthmus.example.org",
        "ALLOWED_HOSTS": "127.0.0.1",
        "ISTHMUS_ACCESS_TOTP_FOR_ADMINISTRATORS": "off",
        "ISTHMUS_LOG_LEVEL": "WARNING",
        **keys.development_keys(folder),
    }
    with migrated_instance("sqlite", folder, **production) as instance:
        instance.run("collectstatic", "--no-input", "--verbosity", "0")
        session = instance.python(SIGNED_IN).splitlines()[-1]
        command = instance.start_python(*web_spec(port).command[1:], name="web")
        address = f"http://127.0.0.1:{port}"
        wait_until(lambda: _answers(address), "the web process answers")
        yield address, session
        command.kill(signal.SIGTERM)
        command.wait(30)


def _free_port() -> int:
    with closing(socket.socket()) as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def _answers(address: str) -> bool:
    try:
        return urllib.request.urlopen(f"{address}/healthz", timeout=2).status == 200
    except OSError:
        return False
