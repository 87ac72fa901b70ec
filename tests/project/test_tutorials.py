"""Each tutorial is a text file and the notebook that running it gave."""

from pathlib import Path

import pytest

jupytext = pytest.importorskip("jupytext")

FOLDER = Path(__file__).parents[2] / "docs" / "tutorials"
NAMES = sorted(path.stem for path in FOLDER.glob("*.py"))


def cells(path):
    """(kind, source) of each cell."""
    return [(cell.cell_type, cell.source) for cell in jupytext.read(path).cells]


def test_each_text_has_a_notebook_and_each_notebook_a_text():
    assert NAMES
    assert sorted(path.stem for path in FOLDER.glob("*.ipynb")) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_notebook_and_text_say_the_same(name):
    text = cells(FOLDER / f"{name}.py")
    assert text == cells(FOLDER / f"{name}.ipynb"), "run: make tutorials"
    assert text[0][1].startswith("# ")


@pytest.mark.parametrize("name", NAMES)
def test_notebooks_were_run_from_top_to_bottom_without_an_error(name):
    code = [c for c in jupytext.read(FOLDER / f"{name}.ipynb").cells if c.cell_type == "code"]
    assert [cell.execution_count for cell in code] == [*range(1, len(code) + 1)]
    outputs = [output for cell in code for output in cell.outputs]
    assert any(output.output_type == "display_data" for output in outputs) or name == "custom_step"
    assert not [output for output in outputs if output.output_type == "error"]
