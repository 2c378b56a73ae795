"""The look of the set-up pages: what `UNFOLD` in the settings points to."""

from collections.abc import Iterable, Mapping
from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.templatetags.static import static
from django.urls import reverse

__all__ = [
    "account_links",
    "brand_icon",
    "console_script",
    "console_style",
    "favicon",
    "index",
    "quick_find",
    "sidebar",
]

GROUPS: Mapping[str, tuple[str, ...]] = {
    "Users": ("auth.user", "auth.group", "access.permissionset", "access.permissionsetassignment"),
    "Security and identity": (
        "access.apiclient",
        "access.approval",
        "credentials.identityprovider",
        "credentials.certificate",
        "callouts.redactionrule",
        "audit.auditentry",
    ),
    "Named credentials": (
        "credentials.namedcredential",
        "credentials.externalcredential",
        "credentials.principal",
        "callouts.destination",
    ),
    "Integrations": (
        "external_services.externalservice",
        "external_services.externalserviceversion",
        "external_services.operation",
        "apexrest.endpointlimits",
    ),
    "Events": (
        "events.eventdefinition",
        "events.channel",
        "objects.changetracking",
        "events.subscription",
        "events.eventschema",
    ),
    "Process automation": ("jobs.schedule",),
    "Objects and records": ("objects.objectsharing", "objects.sharingrule", "crm"),
    "Monitoring": (
        "jobs.job",
        "jobs.processheartbeat",
        "jobs.lease",
        "callouts.integrationlogentry",
        "callout_queue",
        "external_services.invocation",
        "external_services.callbackreceipt",
        "events",
    ),
}
"""Sidebar group → what is in it, in this order: models (`app.model`), or all of an app that no group names.

The groups follow the tree of Salesforce's Setup. Another app with an admin gets a group of its own name.
"""
HIDDEN_APPS = frozenset({"django_q", "oauth2_provider"})
"""Tables of libraries that nobody sets up: the job broker's queue (the Job rows are the truth) and issued tokens."""
ICONS: Mapping[str, str] = {
    "account": "domain",
    "apiclient": "terminal",
    "approval": "handshake",
    "auditentry": "fact_check",
    "callbackreceipt": "call_received",
    "case": "support_agent",
    "certificate": "verified_user",
    "changerow": "difference",
    "contact": "contacts",
    "endpointlimits": "speed",
    "eventdefinition": "bolt",
    "eventlogentry": "receipt_long",
    "eventschema": "schema",
    "externalcredential": "key",
    "externalservice": "api",
    "externalserviceversion": "history",
    "grant": "rule",
    "group": "group",
    "integrationlogentry": "swap_horiz",
    "identityprovider": "login",
    "invocation": "sync_alt",
    "job": "manufacturing",
    "lead": "person_add",
    "lease": "lock_clock",
    "namedcredential": "link",
    "objectsharing": "share",
    "operation": "function",
    "opportunity": "trending_up",
    "order": "shopping_cart",
    "outboxevent": "outbox",
    "permissionset": "shield_person",
    "permissionsetassignment": "assignment_ind",
    "principal": "badge",
    "processheartbeat": "monitor_heart",
    "schedule": "event_repeat",
    "sharingrule": "group_add",
    "subscription": "notifications_active",
    "topic": "tag",
    "user": "person",
}
"""Model name → name of an icon of Material Symbols, the set that the theme brings."""


def sidebar(request: HttpRequest) -> list[dict[str, Any]]:
    """Return the groups of the sidebar with the models that this user may see."""
    console = {"title": "Back to the console", "icon": "arrow_back", "link": reverse("console:home"), "active": False}
    groups = [
        {"title": title, "items": [_link(model) for model in models if model["admin_url"]]}
        for title, models in _grouped(admin.site.get_app_list(request)).items()
    ]
    return [{"title": "", "items": [console]}, *groups]


def index(_request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """Return what the first set-up page shows: the same groups as the sidebar."""
    groups = _grouped(context["app_list"])
    context["app_list"] = [
        {"name": title, "app_label": models[0]["model"]._meta.app_label, "app_url": "", "models": models}
        for title, models in groups.items()
    ]
    context["title"] = "Set-up"
    return context


def _grouped(apps: Iterable[Mapping[str, Any]]) -> dict[str, list[Mapping[str, Any]]]:
    by_name = {
        f"{app['app_label']}.{str(model['object_name']).lower()}": (app, model)
        for app in apps
        if app["app_label"] not in HIDDEN_APPS
        for model in app["models"]
    }
    groups: dict[str, list[Mapping[str, Any]]] = {title: [] for title in GROUPS}
    for title, names in GROUPS.items():
        groups[title] += [by_name.pop(name)[1] for name in names if name in by_name]
    for name, (app, model) in by_name.items():
        label = name.partition(".")[0]
        title = next((title for title, names in GROUPS.items() if label in names), str(app["name"]))
        groups.setdefault(title, []).append(model)
    return {title: models for title, models in groups.items() if models}


def _link(model: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "title": str(model["name"]),
        "icon": ICONS.get(str(model["object_name"]).lower(), "table_rows"),
        "link": model["admin_url"],
    }


def account_links(_request: HttpRequest) -> list[dict[str, str]]:
    """Return what the user menu offers beside the theme's own entries."""
    return [{"title": "Console", "link": reverse("console:home")}]


def brand_icon(_request: HttpRequest) -> str:
    """Return the address of the mark beside the title."""
    return static("console/mark.svg")


def favicon(_request: HttpRequest) -> str:
    """Return the address of the icon in the browser's tab."""
    return static("console/mark.svg")


def console_style(_request: HttpRequest) -> str:
    """Return the address of our few rules on top of the theme."""
    return static("console/admin.css")


def quick_find(_request: HttpRequest) -> str:
    """Return the address of the script that narrows the sidebar while somebody types."""
    return static("console/quick_find.js")


def console_script(_request: HttpRequest) -> str:
    """Return the address of our script, which gives names to what the theme leaves without."""
    return static("console/admin.js")
