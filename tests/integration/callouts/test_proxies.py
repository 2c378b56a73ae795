"""Callouts that leave through the operator's proxy."""

import select
import socket
import threading

import pytest
import trustme

from callouts import errors, http
from credentials.actions import create_named_credential

pytestmark = pytest.mark.django_db


class ForwardProxy:
    """A real HTTP proxy on a free port: forwards whole addresses, opens tunnels, and keeps what it was asked."""

    def __init__(self):
        self.asked = []
        self.heads = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.target = None
        self.status = b"200 OK"

    def __enter__(self):
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()

    def _accept(self):
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=[connection], daemon=True).start()

    def _serve(self, connection):
        head = b""
        while b"\r\n\r\n" not in head:
            piece = connection.recv(65_536)
            if not piece:
                connection.close()
                return
            head += piece
        self.heads.append(head.decode("latin-1"))
        method, target, _ = head.split(b" ", 2)
        self.asked.append((method.decode(), target.decode()))
        # Whatever name is asked for, the system behind is the test's.
        with connection, socket.create_connection(("127.0.0.1", self.target)) as far:
            if method == b"CONNECT":
                connection.sendall(b"HTTP/1.1 " + self.status + b"\r\n\r\n")
                if not self.status.startswith(b"200"):
                    return
            else:
                far.sendall(head)
            self._pump(connection, far)

    @staticmethod
    def _pump(one, other):
        while True:
            ready, _, _ = select.select([one, other], [], [], 5)
            if not ready:
                return
            for source in ready:
                try:
                    data = source.recv(65_536)
                    (other if source is one else one).sendall(data)
                except OSError:
                    return
                if not data:
                    return


@pytest.fixture
def proxy(server, settings):
    with ForwardProxy() as running:
        running.target = server.port
        settings.ISTHMUS_CALLOUTS_PROXY = f"http://robot:canary-password@127.0.0.1:{running.port}"
        yield running


@pytest.fixture
def far(open_door):
    """A system outside, at a name that only the proxy can look up."""
    return create_named_credential("Far", url="http://far.example", external_credential=open_door)


def test_plain_http_passes_the_proxy_as_a_whole_address(far, server, proxy):
    assert http.get("callout:Far/json").json() == {"ok": True}
    assert proxy.asked == [("GET", "http://far.example/json")]
    assert "Proxy-Authorization: Basic " in proxy.heads[0]
    assert server.requests[0].headers["host"] == "far.example"


def test_https_passes_through_a_tunnel_and_is_verified_to_its_end(open_door, proxy, settings, tmp_path):
    import ssl

    from tests.fault_server import FaultServer

    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("far.example").configure_cert(context)
    (tmp_path / "ca.pem").write_bytes(authority.cert_pem.bytes())
    settings.ISTHMUS_CALLOUTS_CA_BUNDLE = str(tmp_path / "ca.pem")
    with FaultServer(certificate=context) as secure:
        proxy.target = secure.port
        create_named_credential("Far", url="https://far.example", external_credential=open_door)
        create_named_credential("Other", url="https://other.example", external_credential=open_door)
        assert http.get("callout:Far/json").json() == {"ok": True}
        with pytest.raises(errors.TlsFailed):
            http.get("callout:Other/json")
        assert "proxy-authorization" not in secure.requests[0].headers
    assert proxy.asked[0] == ("CONNECT", "far.example:443")
    assert "Proxy-Authorization: Basic " in proxy.heads[0]


def test_a_proxy_that_refuses_leaves_nothing_in_doubt(open_door, proxy):
    proxy.status = b"403 Forbidden"
    create_named_credential("Far", url="https://far.example", external_credential=open_door)
    with pytest.raises(errors.ConnectFailed):
        http.post("callout:Far/json", json={})


def test_exceptions_and_systems_in_the_house_are_reached_directly(bank, server, proxy, far, settings):
    assert http.get("callout:Bank/json").status_code == 200
    settings.ISTHMUS_CALLOUTS_NO_PROXY = "far.example, .internal.example"
    with pytest.raises(errors.CalloutError):
        http.get("callout:Far/json", timeout=2)
    assert proxy.asked == []


def test_an_internal_address_is_refused_behind_a_proxy_too(open_door, proxy):
    create_named_credential("Meta", url="http://169.254.169.254", external_credential=open_door)
    with pytest.raises(errors.EgressRefused):
        http.get("callout:Meta/latest")
    assert proxy.asked == []
