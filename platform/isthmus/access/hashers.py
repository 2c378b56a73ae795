"""How the secrets of API clients are stored."""

import hashlib
from typing import Any

from django.contrib.auth.hashers import BasePasswordHasher
from django.utils.crypto import constant_time_compare

__all__ = ["MachineSecretHasher"]


class MachineSecretHasher(BasePasswordHasher):
    """One salted SHA-256, for secrets made by `isthmus.ids` only.

    Slow hashes make guessing people's passwords dear. A secret of 256 random bits cannot be guessed at any speed, while
    a slow hash at the token endpoint would let anyone who knows a client id keep a processor busy.
    """

    algorithm = "machine_sha256"

    def encode(self, password: str, salt: str) -> str:
        return f"{self.algorithm}${salt}${hashlib.sha256(f'{salt}${password}'.encode()).hexdigest()}"

    def decode(self, encoded: str) -> dict[str, Any]:
        algorithm, salt, digest = encoded.split("$", 2)
        return {"algorithm": algorithm, "salt": salt, "hash": digest}

    def verify(self, password: str, encoded: str) -> bool:
        return constant_time_compare(encoded, self.encode(password, self.decode(encoded)["salt"]))

    def safe_summary(self, encoded: str) -> Any:
        return {"algorithm": self.decode(encoded)["algorithm"]}

    def harden_runtime(self, password: str, encoded: str) -> None:
        """Nothing to level out: every verification costs the same."""
