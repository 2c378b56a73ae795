"""What apps add to the console: pages in the navigation, figures on the home page, metrics.

The shell knows no app. An app calls these from its `console.py`, which its `AppConfig.ready()` imports.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from prometheus_client.core import Metric

from isthmus.console.tones import Tone

__all__ = [
    "Figure",
    "Figures",
    "Metrics",
    "Page",
    "all_figures",
    "metric_sources",
    "pages",
    "register_figures",
    "register_figures_temporarily",
    "register_metrics",
    "register_metrics_temporarily",
    "register_page",
]


@dataclass(frozen=True)
class Page:
    """A page of the navigation."""

    label: str
    url_name: str
    icon: str
    """Name of an icon of `static/console/icons.svg`."""
    order: int
    """Pages stand in ascending order; home is 0."""
    permission_action: str = "view"
    """Whoever is not granted this action on the console does not see the page; "" shows it to everybody."""


@dataclass(frozen=True)
class Figure:
    """One number of today."""

    label: str
    value: str
    url: str
    """Where the rows behind the number are listed."""
    tone: Tone = Tone.NEUTRAL
    hint: str = ""
    """A few words below the number."""


Figures = Callable[[], Iterable[Figure]]
Metrics = Callable[[], Iterable[Metric]]

_pages: dict[str, Page] = {}
_figures: list[Figures] = []
_metrics: list[Metrics] = []


def register_page(page: Page) -> None:
    """Add a page to the navigation. Raises `ValueError` when its address is there already."""
    if page.url_name in _pages:
        raise ValueError(f"A console page for {page.url_name!r} is registered already.")
    _pages[page.url_name] = page


def pages() -> list[Page]:
    """Return every page, in the order of the navigation."""
    return sorted(_pages.values(), key=lambda page: (page.order, page.label))


def register_figures(figures: Figures) -> None:
    """Add figures to the home page; `figures` is asked at each view and must cost a constant number of queries."""
    _figures.append(figures)


@contextmanager
def register_figures_temporarily(figures: Figures) -> Iterator[None]:
    """Add figures while the block runs (for tests)."""
    _figures.append(figures)
    try:
        yield
    finally:
        _figures.remove(figures)


def all_figures() -> list[Figure]:
    """Return the figures of every app."""
    return [figure for figures in _figures for figure in figures()]


def register_metrics(metrics: Metrics) -> None:
    """Add metrics to `/metrics`; `metrics` is asked at each scrape."""
    _metrics.append(metrics)


@contextmanager
def register_metrics_temporarily(metrics: Metrics) -> Iterator[None]:
    """Add metrics while the block runs (for tests)."""
    _metrics.append(metrics)
    try:
        yield
    finally:
        _metrics.remove(metrics)


def metric_sources() -> tuple[Metrics, ...]:
    """Return what each app added to `/metrics`."""
    return tuple(_metrics)
