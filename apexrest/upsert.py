"""For endpoints that take something in: write it once however often it is sent."""

from apexrest.errors import RowAmbiguous, RowRefused
from isthmus.objects.actions import SaveResult, upsert_by_reference

__all__ = ["require_saved", "upsert_by_reference"]


def require_saved(result: SaveResult) -> SaveResult:
    """Return `result` if the row was written.

    Raises `RowRefused`, which answers with the row's errors folded into one, or `RowAmbiguous`, which answers 300 with
    the records that the reference could mean.

    case = require_saved(upsert_by_reference(context.request.user, "Case", reference, {"Subject": subject}))
    """
    if not result.success:
        first, *_ = result.errors
        if result.candidates:
            raise RowAmbiguous(first.message, candidates=result.candidates)
        raise RowRefused(
            "; ".join(error.message for error in result.errors),
            code=first.code,
            status=403 if first.code.startswith("INSUFFICIENT_ACCESS") else 400,
            fields=list(dict.fromkeys(name for error in result.errors for name in error.fields)),
        )
    return result
