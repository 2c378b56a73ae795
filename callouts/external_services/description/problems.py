"""What in a document is not used, with its place and the reason."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace

from callouts.external_services.document import pointers
from callouts.external_services.document.lines import lines_of
from callouts.external_services.document.pages import BUNDLED
from callouts.external_services.document.reading import Source

__all__ = ["Problem", "Unusable", "placed"]


@dataclass(frozen=True, kw_only=True)
class Problem:
    """Something in a document that is not used."""

    pointer: str
    """Where, as a JSON pointer; in another document of the set, after that document's name and `#`."""
    reason: str
    operation: str = ""
    """The operation that it concerns; "" is the whole document."""
    line: int | None = None
    """In the text that was given, from 1; `None` where nobody looked."""

    def as_json(self) -> dict[str, object]:
        return asdict(self)


class Unusable(Exception):
    """This part of the document cannot be used."""

    def __init__(self, pointer: str, reason: str) -> None:
        self.pointer, self.reason = pointer, reason
        super().__init__(reason)


def placed(problems: Iterable[Problem], sources: Mapping[str, Source]) -> tuple[Problem, ...]:
    """Return problems with their lines, and with pointers that lead into the text which has them."""
    given = list(problems)
    by_source: dict[str, set[str]] = {}
    for problem in given:
        name, pointer = _where(problem.pointer, sources)
        by_source.setdefault(name, set()).add(pointer)
    lines = {name: lines_of(sources[name], wanted) for name, wanted in by_source.items()}
    result = []
    for problem in given:
        name, pointer = _where(problem.pointer, sources)
        shown = f"{name}#{pointer}" if name else pointer
        result.append(replace(problem, pointer=shown, line=lines[name][pointer]))
    return tuple(result)


def _where(pointer: str, sources: Mapping[str, Source]) -> tuple[str, str]:
    """Return the name of the text that a pointer leads into, and the pointer within that."""
    if not pointer.startswith(f"/{BUNDLED}/"):
        return "", pointer
    name, *rest = pointers.parse(pointer)[1:]
    return (name, pointers.join(*rest)) if name in sources else ("", pointer)
