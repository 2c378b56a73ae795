"""Run the demo: `python -m examples.demo`. Exit status 0 only if every step held."""

import argparse
import sys
from pathlib import Path

from examples.demo.world import prepare_environment


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m examples.demo", description=__doc__)
    parser.add_argument("--data", type=Path, default=Path(".data/demo"), help="the demo's own data directory")
    parser.add_argument("--applicants", type=int, default=8, help="how many leads ask for a mortgage")
    parser.add_argument(
        "--kill",
        action="append",
        default=[],
        metavar="PROCESS@WHAT>=N",
        help="SIGKILL web, worker or bus when the bank has N `received`, `decided` or `delivered` applications, or N "
        "events were `told`; it is started again. May be given several times.",
    )
    parser.add_argument("--patience-seconds", type=float, default=6.0, help="how long the committee's case may take")
    parser.add_argument("--show-logs", action="store_true", help="print what the processes print")
    chosen = parser.parse_args()
    world = prepare_environment(chosen.data.resolve())

    import django

    django.setup()
    from examples.demo.story import Story, parse_kill

    return Story(
        world,
        applicants=chosen.applicants,
        kills=[parse_kill(text) for text in chosen.kill],
        patience_seconds=chosen.patience_seconds,
        show_logs=chosen.show_logs,
    ).tell()


if __name__ == "__main__":
    sys.exit(main())
