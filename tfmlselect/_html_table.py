"""Results as an HTML table, which notebooks draw in place of the `repr`.

No colour is set, so that it reads on light and on dark pages, and nothing is loaded.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from html import escape

MOST_ROWS = 50
_TABLE = '<table style="color:inherit">'  # some browsers give tables a colour of their own


def html_table(
    lines: Sequence[str],
    headings: Sequence[str],
    rows: Sequence[Sequence[str]],
    words: Collection[int] = (0,),
    note: str = "",
) -> str:
    """Lines of text, a table, and a note below it.

    Args:
        lines: above the table.
        headings: one a column; none: the table has no head.
        rows: cells as they are to be read; everything is escaped here.
        words: numbers of the columns that hold words and not numbers: they are aligned left.
        note: below the table.

    Example:
        >>> html_table(["2 samples"], ["label", "positives"], [["sea & boat", "1"]])[:28]
        '<div><p>2 samples</p><table '
    """
    sides = ["left" if column in words else "right" for column in range(len(rows[0]))]

    def row(tag: str, cells: Sequence[str]) -> str:
        made = (
            f'<{tag} style="text-align:{side};padding:0.1em 0.6em">{escape(cell)}</{tag}>'
            for side, cell in zip(sides, cells, strict=True)
        )
        return f"<tr>{''.join(made)}</tr>"

    head = f"<thead>{row('th', headings)}</thead>" if headings else ""
    body = "".join(row("td", cells) for cells in rows)
    above, below = ("<br>".join(map(escape, text)) for text in (lines, [note]))
    below = f"<p>{below}</p>" if note else ""
    return f"<div><p>{above}</p>{_TABLE}{head}<tbody>{body}</tbody></table>{below}</div>"
