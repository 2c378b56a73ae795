"""`make test`: the whole suite on SQLite, then what touches the database once more on PostgreSQL, if there is one."""

import os
import subprocess
import sys

from tests.engines import chromium_path, postgres_url


def run(title: str, *arguments: str, **environment: str) -> int:
    """Run pytest once and return its exit status; "nothing collected" is a failure like any other."""
    print(f"== {title}", flush=True)
    command = [sys.executable, "-W", "error", "-m", "pytest", "-q", "-n", "auto", "--dist", "worksteal", *arguments]
    # Tests start hundreds of processes; where Python may not keep what it has compiled, each would compile it again.
    environment |= {"PYTHONDONTWRITEBYTECODE": ""}
    return subprocess.run(command, env={**os.environ, **environment}, check=False).returncode


def main() -> int:
    given = sys.argv[1:]
    failed = run("SQLite", *given, DATABASE_URL="")
    if url := postgres_url():
        failed |= run("PostgreSQL", "--database-tests-only", *given, DATABASE_URL=url)
    else:
        print("!! PostgreSQL did not answer: its round was left out. Set ISTHMUS_TEST_POSTGRES_URL to name a server.")
    if not chromium_path():
        print("!! Chromium was not found: the browser tests were left out. Debian's package is `chromium`.")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
