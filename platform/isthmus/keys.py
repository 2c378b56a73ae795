"""Makes the keys that an installation needs: `python -m isthmus.keys` prints them as lines for an environment file.

Needs no settings, because the settings refuse to load in production without these keys.
"""

import base64
import os
import secrets
import sys
from pathlib import Path

__all__ = ["development_keys", "new_encryption_key", "new_keys"]


def new_encryption_key() -> str:
    """Return a new entry for `ISTHMUS_ENCRYPTION_KEYS`: `<key id>:<256 random bits, URL-safe base64>`."""
    key_id = f"k{secrets.token_hex(4)}"
    return f"{key_id}:{base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()}"


def new_keys() -> dict[str, str]:
    """Return one new value for each key an installation needs, by environment variable."""
    return {"SECRET_KEY": secrets.token_urlsafe(64), "ISTHMUS_ENCRYPTION_KEYS": new_encryption_key()}


def development_keys(data_dir: Path) -> dict[str, str]:
    """Return the keys kept in `data_dir`, making them at the first call; several processes may call at once."""
    path = data_dir / "development.keys"
    data_dir.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        # Written whole under another name, then linked: whoever links first wins, and nobody reads half a file.
        draft = data_dir / f".development.keys.{os.getpid()}.{secrets.token_hex(4)}"
        draft.touch(mode=0o600)
        draft.write_text("".join(f"{name}={value}\n" for name, value in new_keys().items()))
        try:
            os.link(draft, path)
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    lines = path.read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if "=" in line)


if __name__ == "__main__":
    sys.stdout.write("".join(f"{name}={value}\n" for name, value in new_keys().items()))
