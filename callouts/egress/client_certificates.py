"""The certificate that is shown in mutual TLS. Its key passes through memory only, never through a file on a disk."""

import os
import ssl
from dataclasses import dataclass

from django.views.decorators.debug import sensitive_variables

from callouts.errors import TlsFailed
from isthmus.vault.secret import Secret

__all__ = ["ClientCertificate"]


@dataclass(frozen=True, kw_only=True)
class ClientCertificate:
    """A certificate with its private key."""

    certificate_pem: str
    private_key_pem: Secret
    fingerprint: str

    @sensitive_variables()
    def load_into(self, context: ssl.SSLContext) -> None:
        """Let connections of `context` show it. Raises `TlsFailed` when OpenSSL does not take it."""
        # OpenSSL reads from a path only; this one leads into memory and ends with the descriptor.
        descriptor = os.memfd_create("client-certificate", os.MFD_CLOEXEC)
        try:
            with os.fdopen(os.dup(descriptor), "wb") as file:
                file.write(f"{self.private_key_pem.reveal()}\n{self.certificate_pem}".encode())
            context.load_cert_chain(f"/proc/self/fd/{descriptor}")
        except ssl.SSLError as error:
            raise TlsFailed("The client certificate cannot be used; nothing was sent.") from error
        finally:
            os.close(descriptor)
