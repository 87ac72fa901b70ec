"""What notebooks draw: well-formed HTML with the cells of the printed tables, all escaped."""

from xml.etree import ElementTree

import numpy as np
import pytest

import tfmlselect as tfml

NAMES = ["sea & sky", "<script>alert(1)</script>", 'a "boat"', "whale"]
Y = np.array([[1, 1, 0, 0], [1, 0, 1, 0], [1, 0, 0, 1], [1, 0, 0, 0], [0, 0, 0, 0]])


def parsed(shown):
    """The lines above the table, its head, its rows, and the note below it."""
    text = shown._repr_html_()
    for outside in ("src=", "href=", "url(", "<script", "<style", "#"):
        assert outside not in text
    assert text.count("color") == text.count("color:inherit") == 1
    div = ElementTree.fromstring(text.replace("<br>", "<br/>"))
    above, table, *note = list(div)
    assert (div.tag, above.tag, table.tag) == ("div", "p", "table")
    head = [cell.text for cell in table.findall("thead/tr/th")]
    rows = [[cell.text or "" for cell in row] for row in table.findall("tbody/tr")]
    return [*above.itertext()], head, rows, "".join(each.text for each in note)


def words(text):
    return " ".join(text.split())


def test_label_statistics():
    statistics = tfml.label_statistics(Y, label_names=NAMES)
    lines, head, rows, note = parsed(statistics)
    printed = str(statistics).splitlines()
    assert lines == printed[:3]
    assert words(" ".join(head)) == words(printed[4])
    assert [words(" ".join(row)) for row in rows] == [*map(words, printed[5:])]
    assert [row[0] for row in rows] == NAMES
    assert note == ""


def test_many_labels_are_cut_and_said_to_be():
    y = np.eye(72, dtype=int)
    _, _, rows, note = parsed(tfml.label_statistics(y))
    assert [row[0] for row in rows] == [*map(str, range(50))]
    assert note == "22 more labels: print() shows them."
    assert len(parsed(tfml.label_statistics(y[:50, :50]))[2]) == 50


@pytest.mark.parametrize("keeps_predictions", [False, True])
def test_inspection(keeps_predictions):
    x = np.random.default_rng(0).normal(size=Y.shape)
    strategy = tfml.strategies.D2ACE(neighbors=2) if keeps_predictions else "label_balanced"
    train = tfml.adaptive_dataset((x, Y), strategy, 2, seed=0, label_names=NAMES)
    if keeps_predictions:
        train.strategy.observe(np.arange(5), np.linspace(0.1, 0.9, 20, dtype="f").reshape(5, 4))
    found = train.inspect(k=2)
    lines, head, rows, note = parsed(found)
    printed = str(found).splitlines()
    assert lines == printed[:1]
    assert head[:2] == ["sample", "p n"]
    assert all(part in head for part in [each.replace("_", " ") for each in found.parts])
    assert [words(" ".join(row)) for row in rows] == [*map(words, printed[-5:])]
    assert note == ""


def test_many_samples_are_cut_in_the_middle():
    y = np.tile(Y, (20, 1))
    train = tfml.adaptive_dataset((y, y), "label_balanced", 2, seed=0)
    found = train.inspect(k=50)
    _, _, rows, note = parsed(found)
    shown = [row[0] for row in rows]
    assert shown == [*map(str, found.ids[:25]), "...", *map(str, found.ids[-25:])]
    assert note == "50 rows between them are left out: print() shows them."


def test_potential():
    y = np.zeros((1000, 2), int)
    y[:40, 0] = y[30:45, 1] = 1
    predicted = tfml.potential(y)
    lines, head, rows, _ = parsed(predicted)
    printed = str(predicted).splitlines()
    assert lines == printed[:1]
    assert head == []
    assert rows == [
        ["why", printed[1]],
        ["what to do", " ".join(printed[2:])],
        ["strategy", "adaptive_balance"],
    ]
