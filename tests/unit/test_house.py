"""The house is as its plan says: every package has its place, every link in the docs leads somewhere."""

import re
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PACKAGES = [*sorted(path.parent.name for path in ROOT.glob("*/__init__.py") if path.parent.name != "tests"), "isthmus"]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])


def test_every_package_says_where_it_stands():
    contracts = {one["id"]: one for one in PROJECT["tool"]["importlinter"]["contracts"]}
    house, ground_floor = contracts["house"], contracts["ground-floor"]
    named = {name.strip(" ()").split(".")[0] for layer in house["layers"] for name in layer.split("|")}
    assert set(PACKAGES) <= named
    assert set(PROJECT["tool"]["importlinter"]["root_packages"]) == set(PACKAGES)
    assert ground_floor["containers"] == ["isthmus"]
    assert ground_floor["exhaustive"] is True


def test_every_package_is_type_checked_and_all_but_the_examples_are_shipped():
    assert set(PROJECT["tool"]["mypy"]["packages"]) == set(PACKAGES)
    shipped = {Path(path).name for path in PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]}
    assert shipped == set(PACKAGES) - {"examples"}


def test_no_package_takes_a_name_of_the_standard_library():
    assert not set(PACKAGES) & sys.stdlib_module_names
    assert [path.name for path in (ROOT / "platform").iterdir() if path.is_dir() and path.name != "__pycache__"] == [
        "isthmus"
    ]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_in_the_docs_lead_somewhere(page):
    text = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
    targets = [target.split("#")[0] for target in re.findall(r"\]\(([^)\s]+)\)", text)]
    missing = [t for t in targets if t and "://" not in t and not (page.parent / t).exists()]
    assert missing == []
