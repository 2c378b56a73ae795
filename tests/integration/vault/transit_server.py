"""A server that speaks the part of the transit and AppRole APIs that the provider uses
(https://developer.hashicorp.com/vault/api-docs/secret/transit, …/auth/approle), with keys in versions."""

import base64
import json
import secrets
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

__all__ = ["TransitServer"]


class TransitServer:
    """Runs on a free port of the loopback while it is entered."""

    def __init__(self):
        self.token = "hvs." + secrets.token_hex(12)
        self.role_id, self.secret_id = secrets.token_hex(8), secrets.token_hex(8)
        self.namespace = ""
        self.is_sealed = False
        self.versions = [AESGCM.generate_key(256)]
        self.min_decryption_version = 1
        self.requests = []
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                server.requests.append(self.path)
                status, answer = server.answer(self.path, body, self.headers)
                content = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_):
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._http.server_port}"

    def __enter__(self):
        self._thread = threading.Thread(target=self._http.serve_forever, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    def rotate(self):
        self.versions.append(AESGCM.generate_key(256))

    def answer(self, path, body, headers):
        if self.is_sealed:
            return 503, {"errors": ["Vault is sealed"]}
        if headers.get("X-Vault-Namespace", "") != self.namespace:
            return 404, {"errors": ["no handler for route"]}
        if path == "/v1/auth/approle/login":
            if (body.get("role_id"), body.get("secret_id")) != (self.role_id, self.secret_id):
                return 400, {"errors": ["invalid role or secret ID"]}
            return 200, {"auth": {"client_token": self.token, "lease_duration": 60, "renewable": True}}
        if headers.get("X-Vault-Token") != self.token:
            return 403, {"errors": ["permission denied"]}
        if path == "/v1/transit/datakey/wrapped/isthmus":
            return 200, {"data": {"ciphertext": self._wrapped(secrets.token_bytes(body["bits"] // 8))}}
        if path == "/v1/transit/decrypt/isthmus":
            return 200, {"data": {"batch_results": [self._unwrapped(item) for item in body["batch_input"]]}}
        return 404, {"errors": ["no handler for route"]}

    def _wrapped(self, key):
        nonce = secrets.token_bytes(12)
        sealed = AESGCM(self.versions[-1]).encrypt(nonce, key, None)
        return f"vault:v{len(self.versions)}:{base64.b64encode(nonce + sealed).decode()}"

    def _unwrapped(self, item):
        _, version, text = item["ciphertext"].split(":")
        number = int(version[1:])
        if number < self.min_decryption_version:
            return {"error": "ciphertext or signature version is disallowed by policy (too old)"}
        raw = base64.b64decode(text)
        try:
            key = AESGCM(self.versions[number - 1]).decrypt(raw[:12], raw[12:], None)
        except (InvalidTag, IndexError):
            return {"error": "cipher: message authentication failed"}
        return {"plaintext": base64.b64encode(key).decode()}
