"""What health knows of credentials: certificates that end soon, principals that cannot be used."""

from datetime import timedelta

from credentials.conf import options
from credentials.models import Certificate, Principal, PrincipalStatus
from isthmus import clock
from isthmus.health import Health, Probe

__all__ = ["CERTIFICATES", "PRINCIPALS"]


def _ask_certificates() -> Health:
    soon = clock.now() + timedelta(days=options.certificate_warning_days)
    ending = list(Certificate.objects.filter(not_after__lte=soon).order_by("not_after")[:6])
    if not ending:
        return Health(ok=True, summary="No certificate ends soon.")
    named = ", ".join(f"{each.name} ({each.not_after:%Y-%m-%d})" for each in ending[:5])
    more = " and more" if len(ending) > 5 else ""
    return Health(ok=False, summary=f"Replace before they end: {named}{more}.")


def _ask_principals() -> Health:
    failed = list(Principal.objects.filter(status=PrincipalStatus.FAILED).select_related("external_credential")[:6])
    if not failed:
        return Health(ok=True, summary="No principal has failed.")
    named = ", ".join(each.target for each in failed[:5])
    more = " and more" if len(failed) > 5 else ""
    return Health(ok=False, summary=f"Cannot authenticate: {named}{more}. Their pages say why.")


CERTIFICATES = Probe(name="certificates", label="Certificates", ask=_ask_certificates, required=False)
PRINCIPALS = Probe(name="principals", label="Principals", ask=_ask_principals, required=False)
