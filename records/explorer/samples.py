"""The same query for other tools: a command for curl, and Python with simple-salesforce.

The access token is a variable of the caller's environment; no secret is written here.
"""

import shlex

__all__ = ["ENVIRONMENT_VARIABLE", "as_curl", "as_simple_salesforce"]

ENVIRONMENT_VARIABLE = "TOKEN"


def as_curl(base_url: str, version: str, text: str, *, with_deleted: bool = False) -> str:
    """Return the command. `base_url`: scheme and host; `with_deleted`: records in the recycle bin as well."""
    resource = "queryAll" if with_deleted else "query"
    parts = [
        f"curl --get {shlex.quote(f'{base_url}/services/data/v{version}/{resource}')}",
        f'--header "Authorization: Bearer ${ENVIRONMENT_VARIABLE}"',
        f"--data-urlencode {shlex.quote(f'q={text}')}",
    ]
    return " \\\n  ".join(parts)


def as_simple_salesforce(base_url: str, version: str, text: str, *, with_deleted: bool = False) -> str:
    """Return a program that reads every page of the result."""
    also = ", include_deleted=True" if with_deleted else ""
    return "\n".join(
        (
            "import os",
            "",
            "from simple_salesforce import Salesforce",
            "",
            "salesforce = Salesforce(",
            f"    instance_url={_literal(base_url)},",
            f'    session_id=os.environ["{ENVIRONMENT_VARIABLE}"],',
            f'    version="{version}",',
            ")",
            f"query = {_literal(text)}",
            f"for record in salesforce.query_all_iter(query{also}):",
            "    print(record)",
        )
    )


def _literal(text: str) -> str:
    """Return the text as Python writes it: over several lines where it has them, if it can stand so."""
    if "\n" in text and '"""' not in text and "\\" not in text:
        lines = text.split("\n")
        if all(line.isprintable() for line in lines) and not text.endswith('"'):
            return f'"""{text}"""'
    if text.isprintable() and '"' not in text and "\\" not in text:
        return f'"{text}"'
    return repr(text)
