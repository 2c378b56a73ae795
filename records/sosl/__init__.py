"""Search across objects: SOSL, and the same search by parameters.

https://developer.salesforce.com/docs/atlas.en-us.soql_sosl.meta/soql_sosl/sforce_api_calls_sosl.htm
"""

from records.sosl.parsing import parse_search, plain_expression
from records.sosl.searching import search
from records.sosl.statements import MAX_FOUND, MAX_OBJECTS, Returned, Scope, Search

__all__ = [
    "MAX_FOUND",
    "MAX_OBJECTS",
    "Returned",
    "Scope",
    "Search",
    "parse_search",
    "plain_expression",
    "search",
]
