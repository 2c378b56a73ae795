"""axe-core in a page: the automatic part of WCAG 2.2, levels A and AA (https://github.com/dequelabs/axe-core)."""

from functools import cache
from pathlib import Path

__all__ = ["GOOD_PRACTICE", "WCAG", "violations"]

_SCRIPT = Path(__file__).parent.parent / "vendor" / "axe-core" / "axe.min.js"
WCAG = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22a", "wcag22aa")
GOOD_PRACTICE = ("best-practice",)
"""Beyond the levels: landmarks, the order of headings, and the like."""
_RUN = """([tags, rules]) => axe.run(document, {
  runOnly: { type: "tag", values: tags },
  rules,
  resultTypes: ["violations"],
}).then((found) => found.violations.flatMap((rule) => rule.nodes.map((node) => {
  const why = [...node.any, ...node.all, ...node.none].map((check) => check.message).join("; ");
  return `${rule.id}: ${node.target.join(" ")} — ${why}`;
})))"""


@cache
def _script() -> str:
    return _SCRIPT.read_text(encoding="utf-8")


def violations(page, tags=WCAG + GOOD_PRACTICE):
    """Return what violates a rule on the page as it is now: rule, element, why."""
    # The debugger's door: the page's content security policy holds for the page, and stays as it is.
    if not page.evaluate("typeof axe === 'object'"):
        page.evaluate(_script())
    # The library leaves it out by itself.
    rules = {"target-size": {"enabled": True}}
    return page.evaluate(_RUN, [list(tags), rules])
