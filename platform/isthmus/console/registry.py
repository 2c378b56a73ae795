"""What apps add to the console: pages in the navigation, figures on the home page, metrics, links, demo data.

The shell knows no app. An app calls these from its `console.py`, which its `AppConfig.ready()` imports.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

from prometheus_client.core import Metric

from isthmus.access.policy import AnyUser
from isthmus.console.tones import Tone

__all__ = [
    "DemoData",
    "Figure",
    "Figures",
    "Link",
    "Links",
    "Metrics",
    "Page",
    "Question",
    "all_figures",
    "demo_data",
    "links_of",
    "metric_sources",
    "pages",
    "questions",
    "register_demo_data",
    "register_demo_data_temporarily",
    "register_figures",
    "register_figures_temporarily",
    "register_links",
    "register_metrics",
    "register_metrics_temporarily",
    "register_page",
    "register_question",
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
    permission_action: Literal["", "view", "operate", "administer"] = "view"
    """Whoever is not granted this action on the console does not see the page; "" shows it to everybody."""
    covers: tuple[str, ...] = ()
    """URL names of further pages that stand under this one in the navigation, at addresses of their own."""


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


@dataclass(frozen=True)
class Link:
    """Where to go from the time line of something."""

    label: str
    icon: str
    url: str


@dataclass(frozen=True)
class Question:
    """A page that says why something is, or is not."""

    label: str
    url_name: str


@dataclass(frozen=True)
class DemoData:
    """Data to try the platform with."""

    adds: tuple[str, ...]
    """What is there afterwards, in words, a line each."""
    begin: Callable[[AnyUser], str]
    """Starts a background operation that makes the data, as this user; returns the address of its page."""


Figures = Callable[[], Iterable[Figure]]
Links = Callable[[AnyUser, str], Iterable[Link]]
"""Given who looks and the reference of a time line, where they may go from there."""
Metrics = Callable[[], Iterable[Metric]]

_pages: dict[str, Page] = {}
_figures: list[Figures] = []
_metrics: list[Metrics] = []
_links: list[Links] = []
_demo_data: list[DemoData] = []
_questions: list[Question] = []


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


def register_links(links: Links) -> None:
    """Add links to time lines; `links` is asked at each view and must cost a constant number of queries."""
    _links.append(links)


def links_of(user: AnyUser, reference: str) -> list[Link]:
    """Return where the time line of this reference leads to."""
    return [link for links in _links for link in links(user, reference)]


def register_question(question: Question) -> None:
    """Add a page to those that stand together under *Why?*."""
    _questions.append(question)


def questions() -> tuple[Question, ...]:
    """Return the pages that say why."""
    return tuple(_questions)


def register_demo_data(demo: DemoData) -> None:
    """Offer data to try the platform with. Raises `ValueError` when somebody does so already."""
    if _demo_data:
        raise ValueError("Demo data are registered already.")
    _demo_data.append(demo)


@contextmanager
def register_demo_data_temporarily(demo: DemoData | None) -> Iterator[None]:
    """Offer other data, or none, while the block runs (for tests)."""
    before = list(_demo_data)
    _demo_data[:] = [demo] if demo is not None else []
    try:
        yield
    finally:
        _demo_data[:] = before


def demo_data() -> DemoData | None:
    """Return the data that are offered; `None` where there are none."""
    return _demo_data[0] if _demo_data else None
