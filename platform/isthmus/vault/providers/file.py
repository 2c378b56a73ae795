"""Keys in a file that only its owner may read: `id:key` pairs, one a line, the first one seals.

The file is looked at again whenever it has changed, so a new key needs no restart.
"""

import os
import stat
from pathlib import Path

from django.conf import settings
from django.views.decorators.debug import sensitive_variables

from isthmus.keys import new_encryption_key
from isthmus.vault.conf import options
from isthmus.vault.errors import KeysMalformed
from isthmus.vault.keyring import KeyRing
from isthmus.vault.providers.base import ReloadingKeyProvider

__all__ = ["FileKeyProvider"]

_Mark = tuple[int, int, int]


class FileKeyProvider(ReloadingKeyProvider):
    """Reads `ISTHMUS_KEY_FILE`."""

    name = "file"

    def __init__(self, path: Path | None = None) -> None:
        """Take the path of the file; `None` means the one that the options name."""
        super().__init__()
        self._given_path = path
        self._mark: _Mark | None = None

    @property
    def path(self) -> Path:
        """Where the keys are."""
        if self._given_path is not None:
            return self._given_path
        return Path(options.file) if options.file else Path(settings.DATA_DIR) / "encryption.keys"

    def ring(self) -> KeyRing:
        if self._mark is None or self._mark != self._present_mark():
            return self._reloaded(at_most_seconds_old=0.0)
        return super().ring()

    @sensitive_variables()
    def load(self) -> KeyRing:
        mark = self._present_mark()
        ring = KeyRing.parse(",".join(self._lines()), source=str(self.path))
        self._mark = mark
        return ring

    @sensitive_variables()
    def add_key(self) -> tuple[str, str]:
        entry = new_encryption_key()
        lines = self._lines() if self.path.exists() else []
        # Whole under another name, then renamed: no reader ever sees half a file.
        draft = self.path.with_name(f".{self.path.name}.{os.getpid()}")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write("".join(f"{line}\n" for line in (entry, *lines)))
            file.flush()
            os.fsync(file.fileno())
        draft.replace(self.path)
        return entry.partition(":")[0], (
            f"It is in front in {self.path} and seals from now on. Where other machines have copies of the file, bring "
            "it there at once. Then run `manage.py encryption_key rotate`."
        )

    def _present_mark(self) -> _Mark:
        try:
            found = self.path.stat()
        except OSError as error:
            raise KeysMalformed(
                f"There is no readable key file {self.path}. `manage.py encryption_key new` makes one."
            ) from error
        if stat.S_IMODE(found.st_mode) & (stat.S_IRWXG | stat.S_IRWXO):
            raise KeysMalformed(f"Others than its owner may read {self.path}: `chmod 600 {self.path}`.")
        return found.st_ino, found.st_mtime_ns, found.st_size

    @sensitive_variables()
    def _lines(self) -> list[str]:
        lines = (line.strip() for line in self.path.read_text().splitlines())
        return [line for line in lines if line and not line.startswith("#")]
