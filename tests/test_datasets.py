"""ARFF files: what a row says is what comes out, however labels are declared and placed."""

import doctest
import os
import re
import subprocess
import sys

import numpy as np
import pytest
from scipy import sparse

import tfmlselect as tfml
from tfmlselect.datasets import load_arff

HEAD = "@RELATION 'r: -C 2'\n\n% a comment\n"
FEATURES = "@attribute a numeric\n@attribute 'b c' real\n@attribute colour {red,green,blue}\n"
LABELS = "@attribute one {0,1}\n@attribute two {0,1}\n"
DENSE = "0.5,-2,red,0,1\n% between\n\n1,3,blue,1,0\n0,0,green,0,0\n"
SPARSE = "{0 0.5, 1 -2, 4 1}\n{0 1,2 blue,3 1}\n{}\n"


@pytest.fixture
def write(tmp_path):
    pytest.importorskip("skmultilearn")
    pytest.importorskip("arff")

    def written(*parts):
        path = tmp_path / "set.arff"
        path.write_text("".join(parts), encoding="utf-8")
        return path

    return written


def test_dense_file(write):
    x, y, features, labels = load_arff(write(HEAD, FEATURES, LABELS, "@DATA\n", DENSE), 2)
    assert (x.dtype, y.dtype) == (np.float32, np.uint8)
    np.testing.assert_array_equal(x, [[0.5, -2, 0], [1, 3, 2], [0, 0, 1]])
    assert y.tolist() == [[0, 1], [1, 0], [0, 0]]
    assert (features, labels) == (["a", "b c", "colour"], ["one", "two"])


def test_sparse_file_keeps_its_last_rows_and_columns_of_zeros(write):
    more = "@attribute three {0,1}\n"
    path = write(HEAD, FEATURES, LABELS, more, "@data\n", SPARSE)
    x, y, features, labels = load_arff(path, labels=3)
    assert isinstance(x, sparse.csr_matrix | sparse.csr_array)
    assert (x.dtype, y.dtype) == (np.float32, np.uint8)
    np.testing.assert_array_equal(x.toarray(), [[0.5, -2, 0], [1, 0, 2], [0, 0, 0]])
    assert x.nnz == 4
    assert y.tolist() == [[0, 1, 0], [1, 0, 0], [0, 0, 0]]
    assert (len(features), labels) == (3, ["one", "two", "three"])


def test_labels_at_the_start(write):
    rows = "0,1,0.5,-2,red\n1,0,1,3,blue\n"
    path = write(HEAD, LABELS, FEATURES, "@data\n", rows)
    x, y, features, labels = load_arff(path, 2, label_location="start")
    assert x.tolist() == [[0.5, -2, 0], [1, 3, 2]]
    assert y.tolist() == [[0, 1], [1, 0]]
    assert (features, labels) == (["a", "b c", "colour"], ["one", "two"])


def test_labels_at_the_start_of_a_sparse_file(write):
    path = write(HEAD, LABELS, FEATURES, "@data\n", "{1 1,2 0.5,3 -2}\n{0 1}\n{}\n")
    x, y, *_ = load_arff(path, 2, label_location="start")
    assert x.toarray().tolist() == [[0.5, -2, 0], [0, 0, 0], [0, 0, 0]]
    assert y.tolist() == [[0, 1], [1, 0], [0, 0]]


@pytest.mark.parametrize(
    ("kind", "off", "on"),
    [
        ("{0,1}", "0", "1"),
        ("{1,0}", "0", "1"),
        ("{ 1, 0 }", "0", "1"),
        ("{'0','1'}", "0", "1"),
        ("{NO,YES}", "NO", "YES"),
        ("{YES,NO}", "NO", "YES"),
        ("{true,false}", "false", "true"),
        ("numeric", "0", "1"),
        ("integer", "0", "1.0"),
    ],
)
def test_a_label_counts_by_name_however_it_is_declared(write, kind, off, on):
    head = f"@relation r\n@attribute a real\n@attribute l {kind}\n@data\n"
    dense = load_arff(write(head, f"1,{on}\n2,{off}\n3,{on}\n"), 1)
    sparse_rows = load_arff(write(head, f"{{0 1,1 {on}}}\n{{0 2,1 {off}}}\n{{1 {on}}}\n"), 1)
    assert dense[1].tolist() == sparse_rows[1].tolist() == [[1], [0], [1]]


def test_what_a_sparse_row_leaves_out_is_the_first_declared_value(write):
    head = "@relation r\n@attribute a real\n@attribute l {1,0}\n@attribute m {0,1}\n@data\n"
    y = load_arff(write(head, "{0 1}\n{0 1,1 0}\n{2 1}\n"), 2)[1]
    assert y.tolist() == [[1, 0], [0, 0], [1, 1]]


def test_a_label_that_is_never_positive_may_declare_one_value(write):
    head = "@relation r\n@attribute a real\n@attribute l {0}\n@data\n"
    assert load_arff(write(head, "1,0\n2,0\n"), 1)[1].tolist() == [[0], [0]]


@pytest.mark.parametrize("labels", [0, -1, 5, 6, 2.0])
def test_number_of_labels_out_of_range(write, labels):
    path = write(HEAD, FEATURES, LABELS, "@data\n", DENSE)
    with pytest.raises(ValueError, match=re.escape(f"labels={labels!r}. Pass how many of its 5")):
        load_arff(path, labels)


def test_unknown_location(write):
    path = write(HEAD, FEATURES, LABELS, "@data\n", DENSE)
    with pytest.raises(ValueError, match="label_location='middle'"):
        load_arff(path, 2, label_location="middle")


def test_no_file(write, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"Received: path='.*nowhere.arff'"):
        load_arff(tmp_path / "nowhere.arff", 2)


@pytest.mark.parametrize(
    ("kind", "rows", "message"),
    [
        ("{0,1,2}", "1,0\n", r"'l' must be 0 or 1 .* Received: \{0,1,2\}"),
        ("{cat,dog}", "1,cat\n", r"Received: \{cat,dog\}"),
        ("numeric", "1,0\n1,0.5\n", "Received: 0.5 in row 1. Check `labels`"),
        ("numeric", "1,-1\n", "Received: -1 in row 0"),
        ("{0,1}", "1,0\n1,?\n", "the first in row 1 of the data"),
        ("{0,1}", "1,0\n ? ,1\n", "the first in row 1 of the data"),
        ("{0,1}", "1,0\n1,0\n,0\n", "the first in row 2 of the data"),
        ("{0,1}", "1,0\n1,3\n", "cannot be read as ARFF. Received: .*BadNominalValue"),
        ("{0,1}", "abc,0\n", "cannot be read as ARFF"),
        ("{0,1}", "1,0,1\n", "cannot be read as ARFF"),
        ("{0,1}", "{0 1}\n1,0\n", "cannot be read as ARFF"),
        ("{0,1}", "{7 1}\n", "cannot be read as ARFF"),
        ("{0,1}", "{0 ?, 1 1}\n{}\n", "the first in row 0 of the data"),
        ("{0,1}", "", "needs rows after its @data line"),
    ],
)
def test_files_that_are_not_what_they_should_be(write, kind, rows, message):
    head = f"@relation r\n@attribute a real\n@attribute l {kind}\n@data\n"
    with pytest.raises(ValueError, match=message):
        load_arff(write(head, rows), 1)


def test_without_the_extra_the_error_names_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "skmultilearn.dataset", None)
    with pytest.raises(ImportError, match=re.escape("pip install 'tfmlselect[multilearn]'")):
        load_arff("any.arff", 1)


def test_importing_the_package_does_not_import_the_reader():
    code = "import sys, tfmlselect; print({'skmultilearn', 'arff'} & {*sys.modules})"
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=os.environ
    )
    assert run.stdout == "set()\n"
    assert "datasets" in tfml.__all__


def test_the_example_of_the_docstring_holds(write, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = re.sub(r" *# doctest: \+SKIP", "", load_arff.__doc__)
    example = doctest.DocTestParser().get_doctest(text, {}, "load_arff", None, None)
    assert len(example.examples) > 4
    assert doctest.DocTestRunner().run(example).failed == 0
