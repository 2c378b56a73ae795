"""Inbound webhooks: deliveries that are let in by their signature in place of an access token.

    @rest_resource("/v1/payments", webhook=Webhook(scheme="stripe", principal="Stripe.Webhooks"))
    class Payments:
        @http_post
        def received(self, event: PaymentEvent) -> None: ...

The secrets are those of a principal. A delivery whose signed time is too far from now is refused; one that was taken in
before is answered as it was then, and handled once.
"""

from dataclasses import dataclass

from apexrest.errors import EndpointMisdeclared

__all__ = ["SCHEME_NAMES", "Webhook"]

SCHEME_NAMES = ("standard", "stripe", "github", "slack", "jws")


@dataclass(frozen=True, kw_only=True)
class Webhook:
    """Says of a resource that it takes deliveries."""

    scheme: str
    """How the sender signs: standard, stripe, github, slack or jws."""
    principal: str
    """The principal whose signing secrets verify them: `ExternalCredential.Principal`."""
    run_as: str = ""
    """Name of the user the methods run as; "": the automated process."""

    def __post_init__(self) -> None:
        if self.scheme not in SCHEME_NAMES:
            known = ", ".join(SCHEME_NAMES)
            raise EndpointMisdeclared(f"There is no signature scheme {self.scheme!r}; there are: {known}.")
        if "." not in self.principal:
            raise EndpointMisdeclared(f"{self.principal!r} names no principal: ExternalCredential.Principal.")
