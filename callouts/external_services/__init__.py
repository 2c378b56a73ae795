"""External services: an OpenAPI document becomes typed operations, with answers that may come back later.

mortgages = external_service("AcmeMortgages")
answer = mortgages.submit_application(
    body={"applicant": {"name": "Ada"}}, callback=ApplicationOutcome, reference="lead-5", user=user
)
answer.status, answer.body, answer.invocation_id
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from callouts.external_services.client import ExternalServiceClient, OperationResponse, external_service
    from callouts.external_services.writing.multipart import Upload

__all__ = ["ExternalServiceClient", "OperationResponse", "Upload", "external_service"]


def __getattr__(name: str) -> Any:
    # Django imports this package before any model may be imported, so the door opens on first use.
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{'writing.multipart' if name == 'Upload' else 'client'}"), name)
