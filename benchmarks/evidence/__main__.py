"""Writes what is generated from the committed results: parts of docs/evidence/ and README.md.

python -m benchmarks.evidence           # writes
python -m benchmarks.evidence --check   # writes nothing, fails and names what is stale
"""

from __future__ import annotations

import argparse
import sys

from benchmarks.evidence import frontier_page, page, readme, results
from benchmarks.study.grid import wanted


def main(arguments: list[str] | None = None) -> None:
    """Writes what changed, or with --check fails and names it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="fail instead of writing")
    options = parser.parse_args(arguments)
    if options.check:
        names = page.stale(page.PAGES, results.DIRECTORY, wanted())
        names += readme.stale(readme.README, results.DIRECTORY) + frontier_page.stale()
        if names:
            sys.exit(f"Out of date: {', '.join(names)}. Run: python -m benchmarks.evidence")
    else:
        page.write(page.PAGES, results.DIRECTORY, wanted())
        readme.write(readme.README, results.DIRECTORY)
        frontier_page.write()


if __name__ == "__main__":
    main()
