"""Run the bank: `python -m examples.bank --port 9101 --data .data/bank`."""

import argparse
import signal
import sys
import threading
from pathlib import Path

from examples.bank.desk import MortgageDesk
from examples.bank.ledger import Ledger
from examples.bank.server import Bank, serve


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m examples.bank", description="The mortgage bank of the demo.")
    parser.add_argument("--port", type=int, default=9101)
    parser.add_argument("--data", type=Path, default=Path(".data/bank"))
    parser.add_argument("--client-id", default="isthmus")
    parser.add_argument("--client-secret", default="demo-bank-secret")
    parser.add_argument("--thinking-seconds", type=float, default=1.0, help="how long the desk takes to decide")
    parser.add_argument("--retry-seconds", type=float, default=1.0, help="pause before a callback is tried again")
    parser.add_argument("--token-seconds", type=int, default=300)
    parser.add_argument("--hang-seconds", type=float, default=60.0)
    chosen = parser.parse_args()

    ledger = Ledger(chosen.data / "ledger.sqlite3")
    bank = Bank(
        ledger,
        client_id=chosen.client_id,
        client_secret=chosen.client_secret,
        token_seconds=chosen.token_seconds,
        hang_seconds=chosen.hang_seconds,
    )
    server = serve(bank, chosen.port)
    desk = MortgageDesk(ledger, thinking_seconds=chosen.thinking_seconds, retry_seconds=chosen.retry_seconds)
    desk.start()

    def stop(*_: object) -> None:
        desk.close()
        # From another thread: shutdown() waits for serve_forever(), which this very thread runs.
        threading.Thread(target=server.shutdown).start()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    print(f"Acme Mortgages listens on http://127.0.0.1:{server.server_address[1]}", flush=True)
    server.serve_forever()
    return 0


if __name__ == "__main__":
    sys.exit(main())
