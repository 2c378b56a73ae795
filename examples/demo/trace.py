"""What the demo tells the person who watches."""

import sys
from collections.abc import Sequence

from isthmus import clock

__all__ = ["Trace"]


class Trace:
    """Numbered steps with times, facts below them, tables; and what did not hold."""

    def __init__(self) -> None:
        self._started = clock.monotonic_seconds()
        self._steps = 0
        self.mismatches: list[str] = []

    def step(self, title: str) -> None:
        """Begin a step."""
        self._steps += 1
        self._write(f"\n{self._elapsed()}  {self._steps}. {title}")

    def fact(self, text: str) -> None:
        """Tell one thing that happened."""
        self._write(f"{self._elapsed()}     {text}")

    def expect(self, what: str, *, found: object, wanted: object) -> None:
        """Compare; a difference is told and makes the demo fail."""
        holds = found == wanted
        self.fact(f"{'✓' if holds else '✗'} {what}: {found}" + ("" if holds else f", expected {wanted}"))
        if not holds:
            self.mismatches.append(f"{what}: found {found}, expected {wanted}")

    def table(self, heads: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
        """Print a table with aligned columns."""
        cells = [list(heads), *[[("–" if cell is None or cell == "" else str(cell)) for cell in row] for row in rows]]
        widths = [max(len(row[column]) for row in cells) for column in range(len(heads))]
        for number, row in enumerate(cells):
            self._write("  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
            if number == 0:
                self._write("  " + "  ".join("─" * width for width in widths))

    def end(self) -> int:
        """Print the verdict; return the exit status."""
        if self.mismatches:
            self._write("\nThe demo did not hold:\n" + "\n".join(f"  ✗ {line}" for line in self.mismatches))
            return 1
        self._write(f"\nEvery step held ({clock.monotonic_seconds() - self._started:.1f} s).")
        return 0

    def _elapsed(self) -> str:
        return f"{clock.monotonic_seconds() - self._started:6.2f}s"

    def _write(self, text: str) -> None:
        sys.stdout.write(text + "\n")
        sys.stdout.flush()
