"""Generated parts of written pages: what stands between markers, and tables for there."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path


def read(path: Path) -> str:
    """The text of a file; nothing where there is none."""
    return path.read_text(encoding="utf-8") if path.exists() else ""


def between(text: str, marker: str, content: str) -> str:
    """`text` with `content` between its markers; unchanged without markers."""
    pattern = rf"(<!-- {marker} -->\n).*?(<!-- /{marker} -->)"
    return re.sub(pattern, lambda found: found[1] + content + "\n" + found[2], text, flags=re.S)


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A Markdown table."""
    head = list(head)
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
