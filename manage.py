#!/usr/bin/env python
"""The command line of Isthmus: `python manage.py help` lists what it can do."""

import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent


def main() -> None:
    """Run one management command, from a checkout as well as from an installed copy."""
    # `platform/` is a source root beside this one, not a package: the standard library owns the name `platform`.
    sys.path[:0] = [str(ROOT), str(ROOT / "platform")]
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "isthmus.settings")
    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
