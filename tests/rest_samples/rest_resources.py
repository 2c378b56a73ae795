"""Endpoints of the sample app."""

import time
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Literal

from django.core.exceptions import ValidationError
from django.http import Http404

from apexrest import (
    EndpointRefused,
    context,
    http_delete,
    http_get,
    http_patch,
    http_post,
    http_put,
    rest_resource,
)
from apexrest.limits import Limits
from apexrest.upsert import require_saved, upsert_by_reference
from apexrest.webhooks import Webhook
from crm.models import Case
from isthmus.errors import IsthmusError
from isthmus.objects.record_ids import record_id_of


@dataclass
class SupportRequest:
    externalReference: str  # noqa: N815 - the names of the wire
    customerEmail: str  # noqa: N815 - the names of the wire
    subject: str
    description: str

    def __post_init__(self):
        if not self.externalReference.strip():
            raise ValueError("externalReference is empty")


@dataclass
class SupportResponse:
    caseId: str  # noqa: N815 - the names of the wire
    status: str
    message: str


@rest_resource("/t/support-requests/*")
class SupportRequests:
    @http_post
    def create(self, requestBody: SupportRequest) -> SupportResponse:  # noqa: N803 - the name of the wire
        saved = require_saved(
            upsert_by_reference(
                context.request.user,
                "Case",
                requestBody.externalReference,
                {
                    "Subject": requestBody.subject,
                    "Description": requestBody.description,
                    "SuppliedEmail": requestBody.customerEmail,
                    "Origin": "Web",
                },
            )
        )
        context.response.status = 201 if saved.created else 200
        context.response.headers["Location"] = f"/services/apexrest/t/support-requests/{saved.id}"
        done = "created" if saved.created else "updated"
        return SupportResponse(caseId=saved.id, status="New", message=f"Case {done}.")

    @http_get
    def read(self) -> SupportResponse:
        for case in Case.objects.all():
            if record_id_of(case) == context.request.wildcard:
                return SupportResponse(caseId=context.request.wildcard, status=case.status, message=case.subject)
        raise Http404


class Unavailable(IsthmusError):
    """The vault at 10.0.0.7 does not answer."""

    status = 503


@rest_resource("/t/trouble/*")
class Trouble:
    """Writes a case, then does what the last part of the address says."""

    @http_post
    def create(self, subject: str) -> object:
        Case.objects.create(subject=subject)
        which = context.request.wildcard
        if which == "refuse":
            raise EndpointRefused("Not today.", code="CLOSED", status=409, fields=["subject"])
        if which == "break":
            raise RuntimeError("password=hunter2")
        if which == "unavailable":
            raise Unavailable
        if which == "invalid":
            raise ValidationError({"subject": ["Too silly."], "__all__": ["Odd."]})
        if which == "status":
            context.response.status = 422
            return {"reason": "unprocessable"}
        if which == "unserialisable":
            return {"case": {1, 2}}
        if which == "header":
            context.response.headers["X-Bad"] = "a\r\nSet-Cookie: b"
            return {}
        return {"kept": True}


@rest_resource("/t/echo/*")
class Echo:
    @http_get
    def read(self) -> object:
        request = context.request
        context.response.headers["X-Echo"] = "yes"
        return {
            "method": request.method,
            "path": request.path,
            "mapping": request.mapping,
            "wildcard": request.wildcard,
            "query": dict(request.query),
            "queryLists": {name: list(values) for name, values in request.query_lists.items()},
            "user": request.user.get_username(),
            "authorization": request.headers.get("Authorization"),
            "thing": request.headers.get("x-thing"),
        }

    @http_delete
    def remove(self) -> None: ...

    @http_put
    def raw(self) -> object:
        return {"body": context.request.body.decode(), "type": context.request.headers.get("Content-Type")}

    @http_patch
    def several(self, when: datetime, count: int = 1) -> object:
        return {"when": when, "count": count}


@rest_resource("/t/optional")
class Optional:
    @http_post
    def create(self, count: int | None = None) -> object:
        return {"count": count}


@dataclass
class Line:
    sku: str
    quantity: int
    price: Decimal = Decimal(0)


@dataclass
class Order:
    number: str
    lines: list[Line]
    urgent: bool = False
    due: date | None = None
    channel: Literal["web", "shop"] = "web"
    notes: dict[str, str] = field(default_factory=dict)


@dataclass
class Filter:
    status: list[str] = field(default_factory=list)
    limit: int = 10
    open: bool | None = None


@rest_resource("/v1/orders/*", deprecated=date(2026, 1, 1), sunset=date(2027, 1, 1), successor="/v2/orders/*")
class OrdersOne:
    """Orders as they were taken first."""

    @http_post
    def create(self, order: Order) -> Order:
        """Take an order and say what was understood."""
        return order

    @http_get(query=Filter)
    def read(self) -> object:
        asked = context.query(Filter)
        return {"status": asked.status, "limit": asked.limit, "open": asked.open, "wildcard": context.request.wildcard}


@rest_resource("/v2/orders/*")
class OrdersTwo:
    @http_post(needs_idempotency_key=True, statuses={201: "Taken."})
    def create(self, order: Order) -> object:
        """Count every order that takes effect, twice the same one as well."""
        case = Case.objects.create(subject=order.number)
        context.response.status = 201
        context.response.headers["Location"] = f"/services/apexrest/v2/orders/{case.record_id}"
        return {"id": case.record_id}


@rest_resource("/t/narrow/*", limits=Limits(max_body_bytes=100, rate="3/minute", concurrency=1, max_seconds=0.4))
class Narrow:
    @http_post
    def create(self, seconds: float = 0.0) -> object:
        Case.objects.create(subject="narrow")
        time.sleep(seconds)
        return {"kept": True}


@rest_resource("/t/inside", limits=Limits(ip_ranges=("10.0.0.0/8", "2001:db8::/32")))
class Inside:
    @http_get
    def read(self) -> object:
        return {}


@rest_resource("/t/cases/shared")
class SharedCases:
    @http_get
    def read(self) -> object:
        return sorted(Case.objects.values_list("subject", flat=True))


@rest_resource("/t/cases/all", with_sharing=False)
class AllCases:
    @http_get
    def read(self) -> object:
        return sorted(Case.objects.values_list("subject", flat=True))


@rest_resource("/t/contacts/*")
class Contacts:
    @http_put(wildcard="reference")
    def write(self, lastName: str) -> object:  # noqa: N803 - the name of the wire
        saved = require_saved(
            upsert_by_reference(context.request.user, "Contact", context.request.wildcard, {"LastName": lastName})
        )
        return {"id": saved.id}


class Delivery:
    @http_post
    def received(self, event: dict[str, object]) -> object:
        case = Case.objects.create(subject=str(event.get("type")))
        return {"case": case.record_id, "as": context.request.user.get_username()}


for _scheme in ("standard", "stripe", "github", "slack", "jws"):
    rest_resource(f"/hooks/{_scheme}", webhook=Webhook(scheme=_scheme, principal=f"Sender.{_scheme}"))(
        type(f"{_scheme.title()}Delivery", (Delivery,), {})
    )


@rest_resource("/hooks/as-user", webhook=Webhook(scheme="github", principal="Sender.github", run_as="integration"))
class AsUser(Delivery):
    pass
