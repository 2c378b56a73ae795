"""What rotating the encryption keys costs: secrets a second, against the floor of decrypting, encrypting and updating.

Takes the number of secrets as argument (20,000 by default; 100,000 is the promise: under a minute). On a fresh SQLite
file, or on `DATABASE_URL`.
"""

import secrets
import sys
from time import perf_counter

from support.own_database import own_database

COUNT = int(sys.argv[1]) if len(sys.argv) > 1 else 20_000


def main() -> None:
    with own_database():
        measure()


def measure() -> None:
    """Print both figures and their ratio."""
    from django.db import connection
    from django.test import override_settings

    from credentials.models import ExternalCredential, Principal, PrincipalSecret
    from isthmus import ids
    from isthmus.keys import new_encryption_key
    from isthmus.vault import actions
    from isthmus.vault.registry import encrypted_columns

    old, new = new_encryption_key(), new_encryption_key()
    (column,) = [each for each in encrypted_columns() if each.label == "credentials.principalsecret.value"]
    external = ExternalCredential.objects.create(name="Bench", protocol="basic")
    principal = Principal.objects.create(external_credential=external, name="Main")
    with override_settings(ISTHMUS_ENCRYPTION_KEYS=old):
        for start in range(0, COUNT, 5_000):
            PrincipalSecret.objects.bulk_create(
                [
                    PrincipalSecret(
                        id=ids.new_uuid(), principal=principal, name=f"n{i}", value=secrets.token_urlsafe(32)
                    )
                    for i in range(start, min(start + 5_000, COUNT))
                ],
                batch_size=500,
            )
    floor = bare_floor(connection)
    with override_settings(ISTHMUS_ENCRYPTION_KEYS=f"{new},{old}"):
        began = perf_counter()
        report = actions.rotate(column)
        seconds = perf_counter() - began
        verified = actions.verify(column)
    assert report.resealed == COUNT
    assert verified.broken == []
    rate = COUNT / seconds
    print(f"{connection.vendor}: {COUNT:,} secrets sealed again in {seconds:.1f} s, {rate:,.0f}/s; ", end="")
    print(
        f"100,000 take {100_000 / rate:.0f} s (promise: under 60). Bare floor {floor:,.0f}/s, ratio {rate / floor:.2f}"
    )


def bare_floor(connection: object) -> float:
    """Return rows a second of AES-GCM twice and one UPDATE a row by primary key, in transactions of a thousand."""
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM
    from django.db import transaction

    count = min(COUNT, 5_000)
    cipher = AESGCM(AESGCM.generate_key(256))
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE bench_floor (id CHAR(36) PRIMARY KEY, value TEXT)")
        rows = []
        for i in range(count):
            nonce = secrets.token_bytes(12)
            rows.append((f"{i:036}", (nonce + cipher.encrypt(nonce, secrets.token_bytes(43), b"c")).hex()))
        cursor.executemany("INSERT INTO bench_floor VALUES (%s, %s)", rows)
        began = perf_counter()
        for start in range(0, count, 1_000):
            fresh = []
            for identity, text in rows[start : start + 1_000]:
                raw = bytes.fromhex(text)
                nonce = secrets.token_bytes(12)
                sealed = cipher.encrypt(nonce, cipher.decrypt(raw[:12], raw[12:], b"c"), b"c")
                fresh.append(((nonce + sealed).hex(), identity))
            with transaction.atomic():
                cursor.executemany("UPDATE bench_floor SET value = %s WHERE id = %s", fresh)
        seconds = perf_counter() - began
        cursor.execute("DROP TABLE bench_floor")
    return count / seconds


if __name__ == "__main__":
    main()
