"""Each process of tests runs on one thread, and code blocks of the docs are tests too.

`pytest README.md docs`, part of `make docs`, runs the code blocks of README.md and docs/. Blocks of
one page share their names. Those of `<!-- invisible-code-block: python ... -->` run too.
"""

from __future__ import annotations

import os
import tempfile
from importlib.util import find_spec

collect_ignore = ["docs/conf.py", "docs/_ext", "docs/tutorials"]

# Models of tests are so small that more threads cost time, and tests run side by side already. This
# is set before NumPy and TensorFlow are imported, and processes that tests start inherit it.
for name in (
    "TF_NUM_INTRAOP_THREADS",
    "TF_NUM_INTEROP_THREADS",
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
):
    os.environ.setdefault(name, "1")


def into_scratch(namespace: dict) -> None:
    """What a page writes goes to a directory of its own."""
    scratch = tempfile.TemporaryDirectory()
    namespace["__scratch"] = scratch, os.getcwd()
    os.chdir(scratch.name)


def back_again(namespace: dict) -> None:
    """Back to where the tests were started."""
    scratch, start = namespace["__scratch"]
    os.chdir(start)
    scratch.cleanup()


if find_spec("sybil"):
    from sybil import Sybil
    from sybil.parsers.markdown import PythonCodeBlockParser

    pytest_collect_file = Sybil(
        parsers=[PythonCodeBlockParser()],
        patterns=["README.md", "docs/*.md", "docs/*/*.md"],
        excludes=["examples/README.md"],
        setup=into_scratch,
        teardown=back_again,
    ).pytest()
