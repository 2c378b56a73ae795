"""What the first page weighs and how soon it can be used, as the shipped set-up serves it to a browser without a cache.

A web process in production with collected static files, Chromium on the same machine, the home page of somebody who is
signed in. The promises: under 150 kB over the network with everything that the page loads, to be used within a second.
The peer is the same page as it would be without compression: the sizes after decoding.
"""

import os
import sys
import tempfile
from pathlib import Path
from statistics import median

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "platform")]

VISITS = int(os.environ.get("BENCH_VISITS", "7"))
MOST_BYTES, MOST_MILLISECONDS = 150_000, 1_000
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]


def main() -> None:
    from tests.engines import chromium_path

    if not chromium_path():
        print("left out: Chromium was not found (Debian's package `chromium`).")
        return
    with tempfile.TemporaryDirectory() as folder:
        measure(Path(folder), chromium_path())


def measure(folder: Path, chromium: str) -> None:
    """Print the lines."""
    from playwright.sync_api import sync_playwright

    from tests.shipped_web import shipped_web

    with shipped_web(folder) as (address, session), sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        visits = [visit(browser, address, session) for _ in range(VISITS)]
        browser.close()
    sent, decoded = (median(one[key] for one in visits) for key in ("sent", "decoded"))
    ready = [one["ready"] for one in visits]
    print(f"{sent:,.0f} bytes over the network, {decoded / sent:.1f} times as many without compression")
    print(f"the first visit was ready after {ready[0]:.0f} ms, the middle one of {VISITS} after {median(ready):.0f} ms")
    print(f"bytes (promise: under {MOST_BYTES:,}) {'met' if sent < MOST_BYTES else 'MISSED'}")
    print(f"ready (promise: under {MOST_MILLISECONDS:,} ms) {'met' if ready[0] < MOST_MILLISECONDS else 'MISSED'}")


def visit(browser: object, address: str, session: str) -> dict[str, float]:
    """Open the page with nothing remembered."""
    context = browser.new_context(extra_http_headers={"X-Forwarded-Proto": "https"})
    context.add_cookies([{"name": "sessionid", "value": session, "url": address, "secure": True}])
    page = context.new_page()
    page.goto(f"{address}/", wait_until="load")
    page.get_by_role("heading", name="Home").wait_for()
    found: dict[str, float] = page.evaluate("""() => {
      const loaded = [...performance.getEntriesByType("navigation"), ...performance.getEntriesByType("resource")];
      const sum = (name) => loaded.reduce((total, one) => total + one[name], 0);
      return { sent: sum("transferSize"), decoded: sum("decodedBodySize"), ready: loaded[0].domContentLoadedEventEnd };
    }""")
    context.close()
    return found


if __name__ == "__main__":
    main()
