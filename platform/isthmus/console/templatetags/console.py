"""Tags and filters of the console's templates."""

import re
from collections.abc import Mapping, Sized
from datetime import datetime, timedelta
from typing import Any

from django import template
from django.contrib.humanize.templatetags.humanize import intcomma
from django.http import HttpRequest
from django.template.defaultfilters import filesizeformat
from django.templatetags.static import static
from django.urls import reverse
from django.utils.html import escape, format_html
from django.utils.http import urlencode
from django.utils.safestring import SafeString, mark_safe

from isthmus import clock, correlation
from isthmus.access.setting_up import sets_up
from isthmus.console import access, bulk, json_text, registry
from isthmus.console.charts import Chart
from isthmus.console.conf import options
from isthmus.console.durations import spoken_duration
from isthmus.console.tones import Status

register = template.Library()

_CELL_LENGTH = 160
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_CODE = re.compile(r"`([^`]+)`")
_JOINT = re.compile(r"([._/]+)(?=\w)")
_STEPS = [(timedelta(minutes=1), 1, "s"), (timedelta(hours=1), 60, "min"), (timedelta(days=1), 3600, "h")]


@register.simple_tag
def icon(name: str, css_class: str = "") -> SafeString:
    """Return one icon of the sprite; it says nothing to a screen reader, the words beside it do."""
    return format_html(
        '<svg class="icon {}" aria-hidden="true" focusable="false"><use href="{}#{}"></use></svg>',
        css_class,
        static("console/icons.svg"),
        name,
    )


@register.simple_tag
def chip(status: Status) -> SafeString:
    """Return a state as an icon and a word in its colour."""
    return format_html('<span class="chip tone-{}">{}{}</span>', status.tone, icon(status.symbol), status.label)


@register.simple_tag
def moment(at: datetime | None, otherwise: str = "—") -> SafeString:
    """Return a time as people say it, with the exact one in `datetime` and `title`."""
    if at is None:
        return format_html("{}", otherwise)
    exact = at.strftime("%Y-%m-%d %H:%M:%S.%f")[:-3] + " UTC"
    return format_html(
        '<time class="age" datetime="{}" title="{}">{}</time>', at.isoformat(), exact, spoken(clock.now() - at)
    )


@register.simple_tag
def chart_rows(chart: Chart) -> SafeString:
    """Return the rows of the table behind a chart.

    A page has hundreds of them, for which a loop in a template takes longer than all the rest of the page.
    """
    said = spoken_duration if chart.form == "lines" else _counted
    rows = []
    for at, values in chart.rows:
        cells = "".join(f'<td class="number">{said(value)}</td>' for value in values)
        when = f'<time datetime="{at.isoformat()}">{_DAYS[at.weekday()]} {at:%H:%M}</time>'
        rows.append(f'<tr><th scope="row" class="nowrap">{when}</th>{cells}</tr>')
    return mark_safe("".join(rows))  # noqa: S308 - numbers and times, nothing that anybody gave


def _counted(number: float | None) -> str:
    return f"{number or 0:,.0f}"


@register.simple_tag
def cell_value(value: object) -> SafeString:
    """Return a value of a list's column as tables show it."""
    if isinstance(value, Status):
        return chip(value)
    if isinstance(value, datetime):
        return moment(value)
    text = "" if value is None else str(value)
    shown = text if len(text) <= _CELL_LENGTH else f"{text[: _CELL_LENGTH - 1]}…"
    return breakable(shown) if shown else mark_safe("—")


@register.simple_tag
def exact_moment(at: datetime) -> SafeString:
    """Return a time to the millisecond, for rows that are read against each other."""
    date, time = at.strftime("%Y-%m-%d"), at.strftime("%H:%M:%S.%f")[:-3]
    return format_html('<time datetime="{}" title="{} {} UTC">{}</time>', at.isoformat(), date, time, time)


def spoken(age: timedelta) -> str:
    """Return an age in words: "12 s ago", "in 5 min"."""
    size = abs(age)
    if size < timedelta(seconds=1):
        return "just now"
    for limit, seconds, unit in _STEPS:
        if size < limit:
            words = f"{int(size.total_seconds() // seconds)} {unit}"
            break
    else:
        words = f"{size.days} d"
    return f"{words} ago" if age > timedelta(0) else f"in {words}"


@register.filter
def duration(milliseconds: float | None) -> str:
    """Return a duration given in milliseconds: "340 ms", "1.2 s", "3 min 20 s"."""
    return spoken_duration(milliseconds)


@register.filter
def amount(value: float | None, unit: str) -> str:
    """Return a number with its unit as people read it: "6.0 MB", "2 min 0 s", "12 days", "1,000"."""
    if value is None:
        return "—"
    if unit == "bytes":
        return filesizeformat(value)
    if unit == "seconds":
        return spoken_duration(value * 1000)
    number = intcomma(round(value, 1) if value % 1 else int(value))
    return f"{number} {unit}" if unit else number


@register.filter
def json_body(value: Any) -> SafeString:
    """Return a body indented and coloured when it is JSON, and escaped in any case."""
    return json_text.highlighted(value)


@register.filter
def inline_code(text: str) -> SafeString:
    """Return a sentence in which what stands between backticks is code; everything is escaped."""
    return mark_safe(_CODE.sub(r"<code>\1</code>", escape(text)))  # noqa: S308 - the text is escaped first


@register.filter
def breakable(name: str) -> SafeString:
    """Return a long name that may be broken after its dots, slashes and underscores."""
    return mark_safe(_JOINT.sub(r"\1<wbr>", escape(name)))  # noqa: S308 - the name is escaped first


@register.filter
def header_lines(headers: Mapping[str, object] | None) -> list[tuple[str, str]]:
    """Return headers as pairs in the order of their names."""
    return sorted((str(name), str(value)) for name, value in (headers or {}).items())


@register.filter
def may_operate(request: HttpRequest) -> bool:
    """Return whether the user of the request may act in the console."""
    return access.may(request.user, "operate")


@register.filter
def may_administer(request: HttpRequest) -> bool:
    """Return whether the user of the request may change what the console is."""
    return access.may(request.user, "administer")


@register.filter
def may_add_demo_data(request: HttpRequest) -> bool:
    """Return whether there are data to try the platform with, and the user of the request may add them."""
    return registry.demo_data() is not None and access.may(request.user, "administer")


@register.filter
def may_set_up(request: HttpRequest) -> bool:
    """Return whether the user of the request finds anything on the set-up pages."""
    return sets_up(request.user)


@register.simple_tag(takes_context=True)
def navigation(context: Mapping[str, Any]) -> list[dict[str, object]]:
    """Return the pages this user may see, and which of them is shown."""
    request: HttpRequest = context["request"]
    found = []
    for page in registry.pages():
        if not page.permission_action or access.may(request.user, page.permission_action):
            url = reverse(page.url_name)
            is_current = request.path == url or (
                url != "/" and request.path.startswith((url, *(reverse(name) for name in page.covers)))
            )
            found.append({"label": page.label, "icon": page.icon, "url": url, "is_current": is_current})
    return found


@register.simple_tag(takes_context=True)
def questions(context: Mapping[str, Any]) -> list[dict[str, object]]:
    """Return the pages that say why, and which of them is shown."""
    request: HttpRequest = context["request"]
    found = [(question, reverse(question.url_name)) for question in registry.questions()]
    return [{"label": one.label, "url": url, "is_current": request.path == url} for one, url in reversed(found)]


@register.simple_tag(takes_context=True)
def live_attributes(context: Mapping[str, Any], *names: str) -> SafeString:
    """Return what makes the element `id="live"` read itself again when one of these live sources has changed.

    Without names: when any has.
    """
    request: HttpRequest = context["request"]
    return format_html(
        'hx-get="{}" hx-trigger="isthmus:changed" hx-select="#live" hx-swap="outerHTML" '
        'data-live="{}?{}" data-live-seconds="{}" data-now="{}"',
        request.get_full_path(),
        reverse("console:live"),
        urlencode([("names", name) for name in names]),
        options.refresh_seconds,
        int(clock.now().timestamp() * 1_000),
    )


def _acts(request: HttpRequest, listing: str) -> list[bulk.BulkAct[Any]]:
    return bulk.acts_of(listing) if access.may(request.user, "operate") else []


@register.inclusion_tag("console/_bulk_bar.html", takes_context=True)
def bulk_bar(context: Mapping[str, Any], listing: str, rows: Sized) -> dict[str, object]:
    """Show what can be done with many rows of a list, for whoever may act; hidden until there are rows."""
    request: HttpRequest = context["request"]
    filters = [(name, value) for name, value in request.GET.items() if value and name not in {"cursor", "format"}]
    return {"acts": _acts(request, listing), "listing": listing, "filters": filters, "is_empty": not rows}


@register.simple_tag(takes_context=True)
def pick_heading(context: Mapping[str, Any], listing: str) -> SafeString:
    """Return the heading of the column in which rows are chosen; nothing for whoever may not act."""
    if not _acts(context["request"], listing):
        return mark_safe("")
    return mark_safe(
        '<th scope="col" class="pick"><input type="checkbox" aria-label="Choose every row of this page" '
        "data-pick-page hidden></th>"
    )


@register.simple_tag(takes_context=True)
def pick(context: Mapping[str, Any], listing: str, key: object, title: object) -> SafeString:
    """Return the cell in which a row is chosen; nothing for whoever may not act."""
    if not _acts(context["request"], listing):
        return mark_safe("")
    return format_html(
        '<td class="pick"><input type="checkbox" name="key" value="{}" form="bulk" aria-label="Choose {}"></td>',
        key,
        title,
    )


@register.simple_tag
def correlation_id() -> str:
    """Return the id that the logs of this very request carry."""
    return correlation.current()
