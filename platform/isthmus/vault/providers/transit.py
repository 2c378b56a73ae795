"""Data keys that the transit engine of a HashiCorp Vault or OpenBao wraps
(https://developer.hashicorp.com/vault/api-docs/secret/transit).

The database holds wrapped keys only. A process unwraps them once and keeps them in memory, so secrets open without
asking the server; without the server no process starts.
"""

import base64
import binascii
from typing import Any
from urllib.parse import quote

import requests
from django.views.decorators.debug import sensitive_variables

from isthmus import ids
from isthmus.vault.conf import transit_options
from isthmus.vault.errors import KeyProviderUnavailable, KeysMalformed
from isthmus.vault.keyring import KeyRing
from isthmus.vault.providers.base import ReloadingKeyProvider

__all__ = ["TransitKeyProvider"]

_MAXIMUM_ANSWER = 1_048_576


class TransitKeyProvider(ReloadingKeyProvider):
    """Reads wrapped keys from the table `DataKey` and has the server unwrap them."""

    name = "transit"

    @sensitive_variables()
    def load(self) -> KeyRing:
        from isthmus.vault.models import DataKey  # the apps may not be loaded when this module is

        rows = list(DataKey.objects.order_by("-created_at", "-key_id"))
        if not rows:
            raise KeysMalformed("There is no data key yet. `manage.py encryption_key new` makes one.")
        answer = self._ask(
            f"decrypt/{quote(transit_options.key, safe='')}",
            {"batch_input": [{"ciphertext": row.wrapped} for row in rows]},
        )
        results = answer.get("batch_results")
        if not isinstance(results, list) or len(results) != len(rows):
            raise KeyProviderUnavailable("The transit engine's answer is not one plaintext a key.")
        return KeyRing(
            {row.key_id: _key_from(result) for row, result in zip(rows, results, strict=True)}, source="DataKey"
        )

    def add_key(self) -> tuple[str, str]:
        from isthmus.vault.models import DataKey  # as above

        answer = self._ask(f"datakey/wrapped/{quote(transit_options.key, safe='')}", {"bits": 256})
        wrapped = answer.get("ciphertext")
        if not isinstance(wrapped, str) or not wrapped:
            raise KeyProviderUnavailable("The transit engine's answer holds no wrapped key.")
        key_id = f"k{ids.new_uuid().hex[:8]}"
        DataKey.objects.create(key_id=key_id, wrapped=wrapped)
        self._reloaded(at_most_seconds_old=0.0)
        return key_id, (
            "It seals from now on; other processes fetch it when they meet it. "
            "Then run `manage.py encryption_key rotate`."
        )

    @sensitive_variables()
    def _ask(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        with self._session() as session:
            session.headers["X-Vault-Token"] = self._token(session)
            return _data_of(self._post(session, f"{transit_options.mount.strip('/')}/{path}", body))

    @sensitive_variables()
    def _token(self, session: requests.Session) -> str:
        if transit_options.token:
            return transit_options.token
        if not transit_options.role_id:
            raise KeysMalformed("ISTHMUS_TRANSIT_TOKEN or ISTHMUS_TRANSIT_ROLE_ID is needed to ask the transit engine.")
        # A token lives for the few requests of one load, so there is nothing to renew.
        login = {"role_id": transit_options.role_id, "secret_id": transit_options.secret_id}
        answer = self._post(session, f"auth/{transit_options.approle_mount.strip('/')}/login", login)
        token = (answer.get("auth") or {}).get("client_token")
        if not isinstance(token, str) or not token:
            raise KeyProviderUnavailable("The key server's login answer holds no token.")
        return token

    @sensitive_variables()
    def _post(self, session: requests.Session, path: str, body: dict[str, Any]) -> dict[str, Any]:
        url = f"{transit_options.url.rstrip('/')}/v1/{path}"
        try:
            answer = session.post(url, json=body, timeout=transit_options.timeout_seconds, allow_redirects=False)
        except requests.RequestException as error:
            # The text of the error may hold the address with a password in it.
            raise KeyProviderUnavailable(f"The key server did not answer ({type(error).__name__}).") from None
        if answer.status_code == requests.codes.service_unavailable:
            raise KeyProviderUnavailable("The key server is sealed or in maintenance (503). Unseal it.")
        if answer.status_code == requests.codes.forbidden:
            raise KeyProviderUnavailable("The key server refused the token or AppRole (403). Check its policy.")
        if answer.status_code != requests.codes.ok:
            raise KeyProviderUnavailable(
                f"The key server answered {answer.status_code} to {path.split('/', 1)[0]}. Check mount and key name."
            )
        try:
            found = answer.json() if len(answer.content) <= _MAXIMUM_ANSWER else None
        except ValueError:
            found = None
        if not isinstance(found, dict):
            raise KeyProviderUnavailable("The key server's answer is no JSON object. Check ISTHMUS_TRANSIT_URL.")
        return found

    def _session(self) -> requests.Session:
        if not transit_options.url:
            raise KeysMalformed("ISTHMUS_TRANSIT_URL is empty. It takes the key server's address.")
        session = requests.Session()
        session.trust_env = False
        session.verify = transit_options.ca_bundle or True
        session.headers["X-Vault-Request"] = "true"
        if transit_options.namespace:
            session.headers["X-Vault-Namespace"] = transit_options.namespace
        return session


def _data_of(answer: dict[str, Any]) -> dict[str, Any]:
    data = answer.get("data")
    if not isinstance(data, dict):
        raise KeyProviderUnavailable("The key server's answer holds no data.")
    return data


@sensitive_variables()
def _key_from(result: Any) -> bytes:
    plaintext = result.get("plaintext") if isinstance(result, dict) else None
    if not isinstance(plaintext, str) or not plaintext:
        raise KeyProviderUnavailable("The transit engine could not unwrap a data key. Is its version still allowed?")
    try:
        return base64.b64decode(plaintext, validate=True)
    except binascii.Error:
        raise KeyProviderUnavailable("The transit engine unwrapped something that is no key.") from None
