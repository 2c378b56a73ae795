"""The index in which records are searched, kept up by the database itself for everything that writes a row.

`plan.py` says what is indexed, `postgresql.py` and `sqlite.py` make the database do it, `installing.py` has it done
after migrations; `matching.py` finds records by an expression (`expressions.py`).
"""

from records.search_index.expressions import All, Any, Expression, Number, Words
from records.search_index.installing import missing_indexes, prepare_for_migration, searchable_tables, synchronise
from records.search_index.matching import Found, find
from records.search_index.plan import IndexedColumn, IndexPlan, plan_for

__all__ = [
    "All",
    "Any",
    "Expression",
    "Found",
    "IndexPlan",
    "IndexedColumn",
    "Number",
    "Words",
    "find",
    "missing_indexes",
    "plan_for",
    "prepare_for_migration",
    "searchable_tables",
    "synchronise",
]
