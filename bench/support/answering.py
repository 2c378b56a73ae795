"""A local system in a process of its own: answers 294 bytes of JSON over kept connections, in the clear or by TLS."""

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

__all__ = ["answering", "app", "with_tls"]

ANSWER = b'{"id": "A-1", "status": "accepted", "note": "' + b"x" * 246 + b'"}'


async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Answer every request alike."""
    if scope["type"] != "http":
        return
    while (await receive()).get("more_body"):
        continue
    await send(
        {
            "type": "http.response.start",
            "status": 200,
            "headers": [(b"content-type", b"application/json"), (b"content-length", str(len(ANSWER)).encode())],
        }
    )
    await send({"type": "http.response.body", "body": ANSWER})


@contextmanager
def answering(port: int, *, certificate: Path | None = None, key: Path | None = None) -> Iterator[str]:
    """Enter: the system answers at the address that is given."""
    command = [sys.executable, "-m", "granian", "--interface", "asginl", "--host", "127.0.0.1", "--port", str(port)]
    if certificate is not None:
        command += ["--ssl-certificate", str(certificate), "--ssl-keyfile", str(key)]
    command += ["--no-ws", "--log-level", "error", "support.answering:app"]
    process = subprocess.Popen(command, cwd=Path(__file__).parent.parent)
    try:
        _wait_for(port)
        yield f"{'https' if certificate else 'http'}://localhost:{port}"
    finally:
        process.terminate()
        process.wait()


def _wait_for(port: int) -> None:
    for _ in range(200):
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise RuntimeError("The local server does not answer.")


def with_tls(folder: Path) -> tuple[Path, Path, Path]:
    """Make a certificate for localhost; return the files of certificate, key and authority."""
    import trustme

    authority = trustme.CA()
    made = authority.issue_cert("localhost")
    certificate, key, root = folder / "certificate.pem", folder / "key.pem", folder / "authority.pem"
    certificate.write_bytes(b"".join(part.bytes() for part in made.cert_chain_pems))
    made.private_key_pem.write_to_path(key)
    authority.cert_pem.write_to_path(root)
    return certificate, key, root
