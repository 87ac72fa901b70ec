"""Tables of Markdown; what stands between markers is tested in tests/test_docs.py."""

from benchmarks.evidence import markers


def test_table():
    rows = [["1", "2"], ["3", "4"]]
    assert markers.table(["a", "b"], rows) == "| a | b |\n| --- | --- |\n| 1 | 2 |\n| 3 | 4 |"


def test_no_file_is_no_text(tmp_path):
    assert markers.read(tmp_path / "nothing.md") == ""
