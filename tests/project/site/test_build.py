"""What `make docs` promises to fail on, it fails on."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import types
from pathlib import Path

import pytest

pytest.importorskip("sphinx", reason="needs pip install '.[docs]'")
pytest.importorskip("sybil", reason="needs pip install '.[docs]'")

ROOT = Path(__file__).parents[3]
EXTENSIONS = ROOT / "docs" / "_ext"
sys.path.insert(0, str(EXTENSIONS))

import mathml  # noqa: E402
import public_names  # noqa: E402
import root_pages  # noqa: E402
from docutils import nodes  # noqa: E402

import tfmlselect  # noqa: E402


def told():
    """Has a docstring."""


def untold():
    pass


def room(**names):
    module = types.ModuleType("room")
    vars(module).update(names, __all__=[*names])
    return module


def test_public_names_are_those_of_the_package_and_of_its_rooms():
    names = [name for name, _ in public_names.public(tfmlselect)]
    assert "tfmlselect.adaptive_dataset" in names
    assert "tfmlselect.strategies.D2ACE" in names
    assert "tfmlselect.metrics.macro_auc" in names
    assert len(names) > 40


def test_names_without_docstring_or_place_are_named():
    found = [*public_names.problems(room(told=told, untold=untold), ["room.untold"])]
    assert found == [
        "room.told is not in the reference: name it on a page of docs/api",
        "room.untold has no docstring",
    ]
    assert [*public_names.problems(room(told=told), ["room.told"])] == []


def test_a_name_may_stand_elsewhere_in_the_reference():
    module = room(Dataset=tfmlselect.AdaptiveDataset)
    assert [*public_names.problems(module, ["tfmlselect.AdaptiveDataset"])] == []


def sphinx(directory, *pages):
    """Builds a site of our extensions about a package `small` of one function."""
    (directory / "small.py").write_text(
        '__all__ = ["one"]\n\n\ndef one():\n    """The number one."""\n', encoding="utf-8"
    )
    (directory / "conf.py").write_text(
        f"import sys\nsys.path[:0] = [{str(directory)!r}, {str(EXTENSIONS)!r}]\n"
        'extensions = ["sphinx.ext.autodoc", "myst_parser", "public_names", "mathml"]\n'
        'public_packages = ["small"]\nmyst_enable_extensions = ["dollarmath"]\n',
        encoding="utf-8",
    )
    (directory / "index.md").write_text("# Small\n\n" + "\n\n".join(pages), encoding="utf-8")
    command = [sys.executable, "-m", "sphinx", "-n", "-W", "--keep-going", "-b", "html"]
    return subprocess.run(
        [*command, str(directory), str(directory / "built")],
        check=False,
        capture_output=True,
        text=True,
    )


REFERENCE = "```{eval-rst}\n.. autofunction:: small.one\n```"


def test_a_build_fails_without_a_public_name_in_the_reference(tmp_path):
    done = sphinx(tmp_path)
    assert done.returncode == 1
    assert "small.one is not in the reference" in done.stderr


def test_a_build_with_all_names_succeeds_and_holds_formulas_and_no_script_for_them(tmp_path):
    done = sphinx(tmp_path, REFERENCE, "$$\\frac{1}{n}$$", "So $p_i$ is.")
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "built" / "index.html").read_text(encoding="utf-8")
    assert "<mfrac>" in page
    assert "<msub>" in page
    assert not re.search("<script[^>]*mathjax", page, flags=re.I)


@pytest.mark.parametrize(
    ("page", "reason"),
    [
        ("[x](gone.md)", "gone.md"),
        ("[x](#gone)", "gone"),
        ("$$\\frac{1}$$", "formula"),
    ],
)
def test_a_build_fails_on_dead_links_and_broken_formulas(tmp_path, page, reason):
    done = sphinx(tmp_path, REFERENCE, page)
    assert done.returncode == 1
    assert reason in done.stderr


def test_formulas():
    inline = mathml.mathml(nodes.math("", "a < b"), block=False)
    assert inline.startswith("<math")
    assert "&lt;" in inline
    assert 'display="block"' in mathml.mathml(nodes.math_block("", "x^2"), block=True)


def test_links_of_the_root_lead_to_the_pages_of_the_site():
    assert root_pages.in_docs("docs/strategies/d2ace.md") == "strategies/d2ace.md"
    assert root_pages.in_docs("CHANGELOG.md") == "changelog.md"
    assert root_pages.in_docs("examples/quickstart.py") == "../examples/quickstart.py"


@pytest.mark.parametrize(
    ("block", "code"),
    [
        ("```python\nassert made == 2\n```", 0),
        ("```python\nassert made == 3\n```", 1),
        ("```\nthis is no Python\n```", 0),
    ],
)
def test_code_blocks_run_and_share_names_with_invisible_ones(tmp_path, block, code):
    shutil.copy(ROOT / "conftest.py", tmp_path)
    (tmp_path / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    hidden = "<!-- invisible-code-block: python\nmade = 2\nopen('made.txt', 'w').close()\n-->"
    (tmp_path / "README.md").write_text(f"# Page\n\n{hidden}\n\n{block}\n", encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "README.md"],
        check=False,
        capture_output=True,
        cwd=tmp_path,
        env={**os.environ},
    )
    assert done.returncode == code, done.stdout.decode()
    assert not (tmp_path / "made.txt").exists()
