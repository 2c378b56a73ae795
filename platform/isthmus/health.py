"""Health is a list, not a guess: every long-lived part registers a probe, and one place reads them all."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

__all__ = ["Health", "Probe", "probe_all", "register", "register_temporarily"]


@dataclass(frozen=True, kw_only=True)
class Health:
    """What a probe found."""

    ok: bool
    summary: str
    """One sentence for an operator: what is so, and when it is not well, what to do."""
    age_seconds: float | None = None
    """Age of what the probe looked at (last heartbeat, oldest waiting work); `None` where age has no meaning."""


@dataclass(frozen=True, kw_only=True)
class Probe:
    """A part that can be asked how it is."""

    name: str
    """Short and stable: it is a key in `/readyz` and a label in `/metrics`."""
    label: str
    ask: Callable[[], Health]
    required: bool = True
    """Whether the instance is not ready while this part is unwell."""


_probes: dict[str, Probe] = {}


def register(probe: Probe) -> None:
    """Add a probe. Raises `ValueError` when another one already has its name."""
    if probe.name in _probes:
        raise ValueError(f"A health probe named {probe.name!r} is registered already.")
    _probes[probe.name] = probe


@contextmanager
def register_temporarily(probe: Probe) -> Iterator[None]:
    """Add a probe while the block runs (for tests)."""
    register(probe)
    try:
        yield
    finally:
        del _probes[probe.name]


def probe_all() -> list[tuple[Probe, Health]]:
    """Ask every part. A probe that raises is reported as unwell, never as an error of the asker."""
    found = []
    for probe in _probes.values():
        try:
            health = probe.ask()
        except Exception as error:  # noqa: BLE001 - the outermost edge: a broken part must not hide the others
            health = Health(ok=False, summary=f"Could not be asked: {type(error).__name__}.")
        found.append((probe, health))
    return found
