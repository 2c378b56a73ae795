"""A query as the grammar understands it, before anybody asked whether its objects and fields exist."""

from dataclasses import dataclass, field
from enum import Enum
from typing import Any, TypeAlias

__all__ = [
    "AllOf",
    "AnyOf",
    "ChildQuery",
    "Comparison",
    "Condition",
    "Expression",
    "Function",
    "Literal",
    "LiteralKind",
    "Membership",
    "Negation",
    "Ordering",
    "Path",
    "Query",
    "Selected",
    "TypeOf",
]


class LiteralKind(Enum):
    """What a value in a query was written as."""

    STRING = "string"
    NUMBER = "number"
    BOOLEAN = "boolean"
    NULL = "null"
    DATE = "date"
    DATETIME = "dateTime"
    TIME = "time"
    RELATIVE = "relative date"


@dataclass(frozen=True, slots=True)
class Literal:
    """A value. `value`: text, `Decimal`, truth, `None`, date, moment, time; of a relative date `(name, n)`."""

    kind: LiteralKind
    value: Any
    at: int


@dataclass(frozen=True, slots=True)
class Path:
    """A field, by way of parents: `Account.Owner.Name`. `at`: where in the text it begins."""

    names: tuple[str, ...]
    at: int

    def __str__(self) -> str:
        return ".".join(self.names)


@dataclass(frozen=True, slots=True)
class Function:
    """A function of fields: `COUNT(Id)`; the name is in upper case."""

    name: str
    arguments: tuple["Expression | str", ...]
    at: int
    spelt: str
    """As the text has it, with its arguments."""

    def __str__(self) -> str:
        return self.spelt


Expression: TypeAlias = Path | Function


@dataclass(frozen=True, slots=True)
class Comparison:
    """`operator` is one of `= != < <= > >= LIKE`."""

    operand: Expression
    operator: str
    value: Literal


@dataclass(frozen=True, slots=True)
class Membership:
    """`operator` is one of `IN`, `NOT IN`, `INCLUDES`, `EXCLUDES`; `values` a list, or a query that gives one."""

    operand: Expression
    operator: str
    values: "tuple[Literal, ...] | Query"


@dataclass(frozen=True, slots=True)
class Negation:
    """NOT."""

    condition: "Condition"
    depth: int


@dataclass(frozen=True, slots=True)
class AllOf:
    """Conditions joined by AND."""

    conditions: "tuple[Condition, ...]"
    depth: int


@dataclass(frozen=True, slots=True)
class AnyOf:
    """Conditions joined by OR."""

    conditions: "tuple[Condition, ...]"
    depth: int


Condition: TypeAlias = Comparison | Membership | Negation | AllOf | AnyOf


@dataclass(frozen=True, slots=True)
class Selected:
    """What SELECT names, and what to call it."""

    expression: Expression
    alias: str | None = None


@dataclass(frozen=True, slots=True)
class TypeOf:
    """`TYPEOF Owner WHEN User THEN Name ELSE Id END`: fields by the type of what a reference names."""

    reference: Path
    cases: tuple[tuple[Path, tuple[Path, ...]], ...]
    otherwise: tuple[Path, ...]


@dataclass(frozen=True, slots=True)
class ChildQuery:
    """A query in the SELECT list, over a child relationship."""

    query: "Query"


@dataclass(frozen=True, slots=True)
class Ordering:
    """`nulls_last`: `None` when the query does not say."""

    expression: Expression
    descending: bool = False
    nulls_last: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """SELECT …"""

    selected: tuple[Selected | TypeOf | ChildQuery, ...]
    source: Path
    aliases: tuple[tuple[str, Path | None], ...] = ()
    """Names for the source (`None`) and for parents of it."""
    scope: str = ""
    where: Condition | None = None
    mode: str = ""
    group_by: tuple[Expression, ...] = ()
    having: Condition | None = None
    order_by: tuple[Ordering, ...] = ()
    limit: int | None = None
    offset: int = 0
    purposes: frozenset[str] = field(default_factory=frozenset)
    """Of `FOR`: `VIEW`, `REFERENCE`, `UPDATE`."""
    all_rows: bool = False
    at: int = 0
