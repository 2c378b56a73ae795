"""The demo's set-up, through the same actions that the admin screens call. Doing it again changes nothing."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings
from django.contrib.auth.models import User

from callouts.external_services.actions.register import RegistrationReport, register
from credentials.actions import ensure_external_credential, ensure_named_credential, ensure_principal
from crm.models import Account, Lead, Order
from examples.mortgage.actions.applications import SERVICE, open_request
from examples.mortgage.models import MortgageRequest
from isthmus.access.actions import assign, create_api_client, ensure_permission_set
from isthmus.access.models import ApiClient, Flow, PermissionSet, Scope
from isthmus.objects.capture import acting_as

__all__ = [
    "LOGINS",
    "Applicant",
    "applicants",
    "in_words",
    "open_requests",
    "place_orders",
    "seed_access",
    "seed_bank",
    "seed_partners",
    "seed_service",
]

DOCUMENT = Path(__file__).resolve().parent.parent / "bank" / "openapi.yaml"
LOGINS = {"admin": "admin", "operator": "operator"}
"""Demo users that may sign in, with their passwords; `integration` speaks to the API only and has none."""
STANDARD_OBJECTS = ("Account", "Contact", "Lead", "Opportunity", "Order", "Case")
EVERYTHING = ("create", "read", "edit", "delete")
SUPPORT_REQUESTS = "/v1/support-requests/*"
PRINCIPAL = "AcmeBank.Mortgage_Desk"


@dataclass(frozen=True, kw_only=True)
class Applicant:
    """One lead with a wish, and how the bank will decide."""

    first_name: str
    last_name: str
    street: str
    amount: float
    income: float
    expected: MortgageRequest.Status


def applicants() -> Sequence[Applicant]:
    """Return the demo's cast: for each way a decision can go, at least one."""
    status = MortgageRequest.Status
    rows = [
        ("Ada", "Lovelace", "12 St James's Square, London", 250_000, 6_200, status.APPROVED),
        ("Grace", "Hopper", "1 Navy Yard, Arlington", 180_000, 5_400, status.APPROVED),
        ("Alan", "Turing", "43 Adlington Road, Wilmslow", 320_000, 7_100, status.APPROVED),
        ("Katherine", "Johnson", "100 NASA Drive, Hampton", 210_000, 4_900, status.APPROVED),
        ("Edsger", "Dijkstra", "5 Plantage, Rotterdam", 900_000, 4_000, status.REJECTED),
        ("Barbara", "Liskov", "32 Vassar Street, Cambridge", 450_000, 3_000, status.REJECTED),
        ("Nomad", "Wanderer", "", 90_000, 5_000, status.ERROR),
        ("Charles", "Babbage", "1 Dorset Street, London", 4_000_000, 90_000, status.TIMED_OUT),
    ]
    return [
        Applicant(first_name=first, last_name=last, street=street, amount=amount, income=income, expected=expected)
        for first, last, street, amount, income, expected in rows
    ]


def seed_access(*, with_superuser: bool = True) -> None:
    """Make the demo's users and permission sets.

    `with_superuser`: false where nobody who is one asks; `admin` is an administrator by role then.
    """
    for name, password in LOGINS.items():
        is_superuser = name == "admin" and with_superuser
        user, created = User.objects.get_or_create(
            username=name, defaults={"is_staff": True, "is_superuser": is_superuser, "email": f"{name}@example.org"}
        )
        if created:
            user.set_password(password)
            user.save(update_fields=["password"])
    integration, created = User.objects.get_or_create(username="integration", defaults={"email": "api@example.org"})
    if created:
        integration.set_unusable_password()
        integration.save(update_fields=["password"])
    everything = [("object", action, name) for name in STANDARD_OBJECTS for action in EVERYTHING]
    fields = [("field", action, f"{name}.*") for name in STANDARD_OBJECTS for action in ("read", "edit")]
    assign(
        ensure_permission_set(
            "Integration_API",
            "Integration API",
            grants=[*everything, *fields, ("endpoint", "post", SUPPORT_REQUESTS)],
        ),
        integration,
    )
    for role in PermissionSet.objects.filter(name="Console_Administrator") if not with_superuser else ():
        assign(role, User.objects.get(username="admin"))
    assign(
        ensure_permission_set(
            "Console_Operator", "Console operator", grants=[("console", "view", "*"), ("console", "operate", "*")]
        ),
        User.objects.get(username="operator"),
    )
    assign(
        ensure_permission_set("Mortgage_Desk", "Mortgage desk", grants=[("principal", "use", PRINCIPAL)]),
        User.objects.get(username="operator"),
    )


def seed_command_line() -> None:
    """Make the client that the `sf` command line brings the id of."""
    if not ApiClient.objects.filter(client_id="PlatformCLI").exists():
        create_api_client(
            "Salesforce CLI",
            None,
            flows=[Flow.AUTHORIZATION_CODE],
            scopes=[Scope.API, Scope.WEB, Scope.REFRESH_TOKEN],
            redirect_uris=["http://localhost:1717/OauthRedirect"],
            is_public=True,
            client_id="PlatformCLI",
            # It keeps the refresh token it was given first.
            rotates_refresh_tokens=False,
        )


def seed_bank(url: str, *, client_id: str, client_secret: str) -> None:
    """Make the credentials of the bank: how to authenticate, as whom, and where."""
    external = ensure_external_credential(
        "AcmeBank",
        label="Acme Mortgages (bank)",
        protocol="oauth_client_credentials",
        settings={"token_url": f"{url}/oauth/token", "scope": "applications", "client_authentication": "header"},
    )
    principal = ensure_principal(
        external, "Mortgage_Desk", secrets={"client_id": client_id, "client_secret": client_secret}
    )
    ensure_named_credential(
        "AcmeBank",
        label="Acme Mortgages",
        url=url,
        external_credential=external,
        principal=principal,
        # The demo's bank runs on this machine; a real one is never inside.
        allow_internal_addresses=not settings.IS_PRODUCTION,
    )


def seed_partners(warehouse_url: str, crm_url: str, *, api_key: str, login: tuple[str, str]) -> None:
    """Make the credentials of the warehouse (an API key) and of the partner's CRM (HTTP Basic)."""
    rows = [
        ("Warehouse", warehouse_url, "custom_headers", {"headers": "X-Api-Key: {ApiKey}"}, {"ApiKey": api_key}),
        ("Partner_CRM", crm_url, "basic", {}, {"username": login[0], "password": login[1]}),
    ]
    for name, url, protocol, chosen, secrets in rows:
        external = ensure_external_credential(name, protocol=protocol, settings=chosen)
        principal = ensure_principal(external, "Partner_Desk", secrets=secrets)
        ensure_named_credential(
            name,
            label=name.replace("_", " "),
            url=url,
            external_credential=external,
            principal=principal,
            allow_internal_addresses=not settings.IS_PRODUCTION,
        )


def seed_service(document: bytes | None = None) -> RegistrationReport:
    """Register the bank's API from its document (`None`: the copy that lies beside the bank's program)."""
    report = register(SERVICE, document or DOCUMENT.read_bytes(), named_credential="AcmeBank", activation="always")
    callers = ensure_permission_set(
        "Mortgage_Applications", "Mortgage applications", grants=[("external_service", "call", f"{SERVICE}.*")]
    )
    for user in User.objects.filter(username="operator"):
        assign(callers, user)
    return report


def in_words(report: RegistrationReport) -> str:
    """Return what became of a document, for a person."""
    later = sum(operation.is_asynchronous for operation in report.operations)
    return (
        f"{report.service} version {report.version}, OpenAPI {report.openapi_version}: "
        f"{len(report.operations)} operations, {later} of them answered by callback, {len(report.skipped)} left out"
    )


def open_requests(user: User, run: str, cast: Sequence[Applicant]) -> list[MortgageRequest]:
    """Enter leads and requests for `cast` under references that begin with `run`."""
    requests = []
    with acting_as(user):
        for number, applicant in enumerate(cast, start=1):
            reference = f"{run}-{number:03}"
            lead, _ = Lead.objects.get_or_create(
                external_reference=reference,
                defaults={
                    "first_name": applicant.first_name,
                    "last_name": applicant.last_name,
                    "company": "Private",
                    "email": f"{applicant.first_name}.{applicant.last_name}@example.org".lower(),
                    "street": applicant.street,
                    "lead_source": "Web",
                },
            )
            requests.append(
                open_request(user, lead, reference=reference, amount=applicant.amount, income=applicant.income)
            )
    return requests


def place_orders(user: User, run: str) -> list[Order]:
    """Enter three orders under references that begin with `run`, and let one of them be activated."""
    orders = []
    with acting_as(user):
        account, _ = Account.objects.get_or_create(
            external_reference=f"{run}-ACME", defaults={"name": "Acme", "industry": "Construction"}
        )
        for number in range(1, 4):
            order, _ = Order.objects.get_or_create(
                external_reference=f"{run}-ORDER-{number}",
                defaults={"account": account, "total_amount": 100 * number, "shipping_city": "Rotterdam"},
            )
            orders.append(order)
        if orders[0].status != "Activated":
            orders[0].status = "Activated"
            orders[0].save()
    return orders
