"""Files, links, targets of make and modules that the pages name exist."""

import re

import pytest
from launch import ROOT

PAGES = [*ROOT.glob("*.md"), *sorted((ROOT / "docs").rglob("*.md"))]
FILE = re.compile(r"(?<![\w./-])(?:scripts|tests|examples|docs|bindings|\.ci)/[\w./-]*\w")
LINK = re.compile(r"\]\((?!https?:)([^)#\s]*)(?:#([^)\s]*))?\)")
MAKE = re.compile(r"(?:`|^ *)make ([a-z-]+)", re.MULTILINE)
MODULE = re.compile(r"python3? -m dolmen\.(\w+)")


def anchors(page):
    """Return the names that headings of a page have in links."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def missing(page):
    text = page.read_text()
    # What the changelog names may be gone.
    if page.name != "CHANGELOG.md":
        yield from (name for name in FILE.findall(text) if not (ROOT / name).exists())
        targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
        yield from (f"make {target}" for target in MAKE.findall(text) if target not in targets)
    package = ROOT / "bindings" / "python" / "dolmen"
    yield from (f"dolmen.{name}" for name in MODULE.findall(text) if not any(package.glob(f"{name}*")))
    for link, anchor in LINK.findall(text):
        target = page.parent / link if link else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            yield f"{link}#{anchor}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_what_a_page_names_exists(page):
    assert not list(missing(page))
