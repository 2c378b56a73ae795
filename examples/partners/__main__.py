"""Run a partner: `python -m examples.partners --name Warehouse --port 9102 --data .data/warehouse --api-key …`."""

import argparse
import signal
import sys
import threading
from pathlib import Path

from examples.partners.book import Book
from examples.partners.server import Partner, serve


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m examples.partners", description="A partner of the demo.")
    parser.add_argument("--name", default="Warehouse")
    parser.add_argument("--port", type=int, default=9102)
    parser.add_argument("--data", type=Path, default=Path(".data/warehouse"))
    parser.add_argument("--api-key", default="", help="what X-Api-Key has to say")
    parser.add_argument("--login", default="", help="user:password for HTTP Basic, when there is no API key")
    chosen = parser.parse_args()
    book = Book(chosen.data / "book.sqlite3")
    server = serve(Partner(book, api_key=chosen.api_key, login=chosen.login), chosen.port)

    def stop(*_: object) -> None:
        # From another thread: shutdown() waits for serve_forever(), which this very thread runs.
        threading.Thread(target=server.shutdown).start()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    print(f"{chosen.name} listens on http://127.0.0.1:{server.server_address[1]}", flush=True)
    server.serve_forever()
    book.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
