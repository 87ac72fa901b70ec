"""Pages of the clone's root in the site: their links are turned to the pages' places there."""

from __future__ import annotations

import re
from pathlib import Path

from sphinx.application import Sphinx

PAGES = {
    "README.md": "index.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
}
LINK = re.compile(r"(?<=\]\()(?!\w+:)([^)#\s]+)")


def in_docs(link: str) -> str:
    """A link from the root, as one from `docs/`."""
    return PAGES.get(link) or (
        link.removeprefix("docs/") if link.startswith("docs/") else f"../{link}"
    )


def turn_links(app: Sphinx, path: Path, parent: str, content: list[str]) -> None:
    """Sphinx' `include-read`: `content[0]` is the text that a page includes."""
    if Path(app.srcdir, path).resolve().parent == Path(app.srcdir).resolve().parent:
        content[0] = LINK.sub(lambda found: in_docs(found[1]), content[0])


def setup(app: Sphinx) -> dict:
    """Listens for what is included."""
    app.connect("include-read", turn_links)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
