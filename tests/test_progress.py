"""Progress of long work: nothing for short work, silent when asked, lines in a file."""

import io
import sys

import numpy as np
import pytest
import tensorflow as tf

import tfmlselect as tfml
from tfmlselect import _progress
from tfmlselect._progress import Progress, verbosity

N = 5000  # neighbours are searched for 4096 samples at a time, a stream is read 1024 at a time
X = np.random.default_rng(0).normal(size=(N, 3)).astype("float32")
Y = (X > [0.0, 0.5, 0.8]).astype("float32")


class Clock:
    """What time it is; it goes on when it is told to."""

    now = 0.0

    def monotonic(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(_progress, "time", clock)
    return clock


class Terminal(io.StringIO):
    def isatty(self):
        return True


def work(clock, seconds, parts=10):
    """Ten parts of ten samples each, that take so many seconds together."""
    shown = Progress("Counting sheep", 10 * parts)
    for _ in range(parts):
        clock.now += seconds / parts
        shown.add(10)


def test_short_work_shows_nothing(clock, capsys):
    work(clock, 1.9)
    assert capsys.readouterr() == ("", "")


def test_one_long_part_shows_nothing_when_it_is_over(clock, capsys):
    work(clock, 100, parts=1)
    assert capsys.readouterr() == ("", "")


def test_long_work_prints_a_line_now_and_then_into_a_file(clock, capsys):
    work(clock, 50)  # a part takes 5 s: the first line after it, then one in 10 s
    lines = [f"Counting sheep: {done} of 100 samples" for done in (10, 30, 50, 70, 90, 100)]
    assert capsys.readouterr().out.splitlines() == lines


def test_a_file_has_few_lines_and_nothing_for_terminals(clock, capsys):
    work(clock, 100, parts=10_000)
    out = capsys.readouterr().out
    assert len(out.splitlines()) == 11  # after 2 s, 12, ..., 92, and at the end
    assert not set("\r\b\x1b") & set(out)


def test_a_terminal_has_a_bar(clock, monkeypatch):
    monkeypatch.setattr(sys, "stdout", Terminal())
    work(clock, 50)
    shown = sys.stdout.getvalue()
    assert shown.startswith("\nCounting sheep\n")
    assert "100/100" in shown
    assert shown.count("\n") == 3  # the bar is redrawn on its line


@pytest.mark.parametrize("out", [io.StringIO, Terminal])
def test_silent_when_asked(clock, monkeypatch, out):
    monkeypatch.setattr(sys, "stdout", out())
    with verbosity(0):
        work(clock, 100)
    assert sys.stdout.getvalue() == ""
    work(clock, 100)
    assert sys.stdout.getvalue() != ""


# --- what shows it ------------------------------------------------------------------------------


@pytest.fixture
def all_is_long(monkeypatch):
    """Each part of the work is worth a line."""
    monkeypatch.setattr(_progress, "SHORT", 0.0)
    monkeypatch.setattr(_progress, "BETWEEN_LINES", 0.0)


def lines(what, at_once):
    parts = [*range(at_once, N, at_once), N]
    return [f"{what}: {done:,} of {N:,} samples" for done in parts]


def source():
    return tf.data.Dataset.from_tensor_slices((X, Y))


@pytest.mark.usefixtures("all_is_long")
@pytest.mark.parametrize("verbose", [0, 1])
def test_the_search_of_neighbours(capsys, verbose):
    tfml.adaptive_dataset((X.copy(), Y), "d2ace", verbose=verbose)
    assert capsys.readouterr().out.splitlines() == lines("Searching neighbours", 4096) * verbose


@pytest.mark.usefixtures("all_is_long")
@pytest.mark.parametrize("verbose", [0, 1])
def test_the_pass_over_a_stream(capsys, verbose):
    source().apply(tfml.adaptive("d2ace", 4, features=lambda x: x, verbose=verbose))
    shown = lines("Reading the stream's labels", 1024) + lines("Searching neighbours", 4096)
    assert capsys.readouterr().out.splitlines() == shown * verbose


@pytest.mark.usefixtures("all_is_long")
@pytest.mark.parametrize(("verbose", "shown"), [(0, False), (1, True), ("auto", True), (2, False)])
def test_the_scoring_pass_shows_what_fit_shows(capsys, verbose, shown):
    train = tfml.adaptive_dataset((X, Y), "online_batch", 1024)
    model = tf.keras.Sequential([tf.keras.layers.Dense(3, "sigmoid")])
    model.compile("sgd", "binary_crossentropy")
    callback = tfml.AdaptiveBatchSelection(train, scores="predict")
    model.fit(train, epochs=2, verbose=verbose, callbacks=[callback])
    out = capsys.readouterr().out
    expected = lines("Predicting every sample anew", 1024)
    assert len(expected) == 5
    assert [out.count(line) for line in expected] == [2 * shown] * 5


@pytest.mark.parametrize("wrong", [2, "auto", None, -1, 0.5])
def test_another_verbose_is_refused(wrong):
    message = rf"`verbose` must be 1 or 0\. Received: verbose={wrong!r}\. Pass verbose=1 to show"
    with pytest.raises(ValueError, match=message):
        tfml.adaptive_dataset((X, Y), verbose=wrong)
    with pytest.raises(ValueError, match=message):
        tfml.adaptive(verbose=wrong)


@pytest.mark.parametrize(("given", "taken"), [(0, 0), (np.int64(1), 1), (True, 1), (False, 0)])
def test_verbose_may_be_a_truth_value(given, taken):
    assert _progress.check_verbose(given) is taken
