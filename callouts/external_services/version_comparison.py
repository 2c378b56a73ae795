"""Two stored versions, made ready to be compared."""

import msgspec

from callouts.external_services.description.differences import Compared, OperationDifference, Side, compare
from callouts.external_services.document.pages import decoded_page
from callouts.external_services.document.reading import encoded
from callouts.external_services.loaded import document_of
from callouts.external_services.models import ExternalServiceVersion

__all__ = ["changes_between"]


def changes_between(old: ExternalServiceVersion, new: ExternalServiceVersion) -> list[OperationDifference]:
    """Return what differs for callers."""
    return compare(_side(old), _side(new))


def _side(version: ExternalServiceVersion) -> Side:
    operations = {
        found.operation_id: Compared(
            operation_id=found.operation_id,
            name=found.name,
            method=found.method,
            path=found.path,
            contract=found.contract,
            callbacks=found.callback_contracts,
        )
        for found in version.operations.all()
    }
    texts: dict[str, bytes] = {}
    for pieces in version.pages.values_list("pieces", flat=True):
        try:
            raw = msgspec.json.decode(pieces, type=dict[str, msgspec.Raw])
        except (msgspec.MsgspecError, ValueError):
            texts.update({pointer: encoded(piece) for pointer, piece in decoded_page(pieces).items()})
        else:
            texts.update({pointer: bytes(piece) for pointer, piece in raw.items()})
    return Side(operations=operations, pieces=document_of(version), texts=texts)
