"""The lock within one process; between processes in tests/processes."""

import gc
import os
import threading

import numpy as np
import pytest
import tensorflow as tf

import tfmlselect as tfml
from tfmlselect.callbacks import fit_checks
from tfmlselect.callbacks.directory_lock import NAME, DirectoryLock

X = np.random.default_rng(0).normal(size=(16, 4)).astype("float32")


def fit(directory, *callbacks, **options):
    """One of a model and a dataset of its own; gives back what keeps nothing of it alive."""
    train = tfml.adaptive_dataset((X, X[:, :2] > 0), "uniform", batch_size=8, seed=0)
    model = tf.keras.Sequential([tf.keras.Input((4,)), tf.keras.layers.Dense(2, "sigmoid")])
    model.compile("sgd", "binary_crossentropy")
    selection = tfml.AdaptiveBatchSelection(train, backup_dir=directory, **options)
    model.fit(train, epochs=1, verbose=0, callbacks=[selection, *callbacks])


def calls(method, function):
    return tf.keras.callbacks.LambdaCallback(**{method: function})


def stop(*_):
    raise InterruptedError


def in_thread(function):
    """What it returns in a thread that is over then."""
    results = []
    thread = threading.Thread(target=lambda: results.append(function()))
    thread.start()
    thread.join()
    return results[0]


def test_given_back_it_leaves_nothing(tmp_path):
    lock = DirectoryLock(tmp_path)
    for _ in range(2):
        assert lock.take()
        assert [path.name for path in tmp_path.iterdir()] == [NAME]
        lock.release()
        lock.release()
        assert not list(tmp_path.iterdir())


def test_another_thread_is_refused(tmp_path):
    lock, other = DirectoryLock(tmp_path), DirectoryLock(tmp_path / "." / ".." / tmp_path.name)
    assert lock.take()
    assert not in_thread(other.take)
    lock.release()
    assert in_thread(other.take)


def test_a_fit_of_this_thread_that_raised_has_it_no_longer(tmp_path):
    lock, other = DirectoryLock(tmp_path), DirectoryLock(tmp_path)
    assert lock.take()
    assert other.take()
    lock.release()
    assert not in_thread(DirectoryLock(tmp_path).take)


def test_a_fit_of_a_thread_that_is_over_has_it_no_longer(tmp_path):
    lock = DirectoryLock(tmp_path)
    assert in_thread(lock.take)
    assert DirectoryLock(tmp_path).take()


def test_what_is_collected_has_it_no_longer(tmp_path):
    lock = DirectoryLock(tmp_path)
    assert lock.take()
    del lock
    assert not list(tmp_path.iterdir())


def test_a_file_of_that_name_with_something_in_it_stays(tmp_path):
    (tmp_path / NAME).write_bytes(np.arange(3).tobytes())
    lock = DirectoryLock(tmp_path)
    assert lock.take()
    lock.release()
    assert (tmp_path / NAME).read_bytes() == np.arange(3).tobytes()


@pytest.mark.parametrize("operation", ["open", "unlink", "close"])
def test_one_that_is_given_back_while_another_is_taken(tmp_path, monkeypatch, operation):
    """As by the garbage collector, which may run anywhere; in a thread, that a fault cannot end."""
    (tmp_path / "other").mkdir()
    (tmp_path / "own").mkdir()
    other, own = DirectoryLock(tmp_path / "other"), DirectoryLock(tmp_path / "own")
    system = getattr(os, operation)

    def collecting(*arguments, **options):
        monkeypatch.setattr(os, operation, system)
        other.release()
        return system(*arguments, **options)

    def take():
        assert other.take()
        assert own.take()
        monkeypatch.setattr(os, operation, collecting)
        taken.append(own.take())

    taken = []
    thread = threading.Thread(target=take, daemon=True)
    thread.start()
    thread.join(60)
    assert taken == [True]
    assert not list((tmp_path / "other").iterdir())
    assert [path.name for path in (tmp_path / "own").iterdir()] == [NAME]
    own.release()


def test_an_interrupted_fit_that_is_collected_while_another_begins(tmp_path, monkeypatch):
    """Its end gives its own lock back, in the middle of `take`."""
    system, done = os.open, []

    def collecting(path, *arguments, **options):
        if str(path).endswith(NAME):
            gc.collect()
        return system(path, *arguments, **options)

    def interrupted_fit():
        try:
            fit(tmp_path / "first", calls("on_epoch_end", stop))
        except InterruptedError as error:
            cycle = [error]  # nothing but the collector ends it
            cycle.append(cycle)

    def two_fits():
        interrupted_fit()
        assert (tmp_path / "first" / NAME).exists()
        monkeypatch.setattr(os, "open", collecting)
        fit(tmp_path / "second")
        done.append(True)

    gc.disable()
    try:
        thread = threading.Thread(target=two_fits, daemon=True)
        thread.start()
        thread.join(120)
    finally:
        gc.enable()
    assert done
    assert not (tmp_path / "first" / NAME).exists()


class Fit:
    """Stands for a `RunningFit`."""

    def __init__(self, runs):
        self.is_running = lambda: runs


def test_a_fit_that_is_known_is_asked_itself(tmp_path):
    """In its own thread, where another fit may be within it, and in others."""
    lock, other = DirectoryLock(tmp_path), DirectoryLock(tmp_path)
    assert lock.take(Fit(runs=True))
    assert not other.take()
    assert not in_thread(other.take)
    assert lock.take(Fit(runs=False))
    assert in_thread(lambda: other.take(Fit(runs=True)))
    assert not lock.take(Fit(runs=True))  # the thread is over, and the fit says that it runs


def test_a_fit_within_another_one_is_refused(tmp_path):
    """Of another model, on the same directory, from the first epoch on."""

    def nested(*_):
        with pytest.raises(RuntimeError, match=r"Another fit .* Received: backup_dir="):
            fit(tmp_path)
        refused.append(sorted(path.name for path in tmp_path.iterdir()))

    refused = []
    fit(tmp_path, calls("on_epoch_begin", nested))
    assert refused == [[NAME]]
    assert [path.name for path in tmp_path.iterdir()] == ["epoch-00000001"]


def test_one_who_is_refused_hears_of_interrupted_fits(tmp_path):
    lock = DirectoryLock(tmp_path)
    assert lock.take(Fit(runs=True))
    with pytest.raises(RuntimeError, match=r"interrupted in a process that still runs: end that"):
        fit(tmp_path)


@pytest.mark.parametrize("method", ["_make_companions", "_start_epoch", "_set_run_length"])
def test_a_fit_that_cannot_begin_keeps_no_lock(tmp_path, monkeypatch, method):
    """Also while its exception is kept, as a notebook does."""
    monkeypatch.setattr(tfml.AdaptiveBatchSelection, method, stop)
    with pytest.raises(InterruptedError) as kept:
        fit(tmp_path)
    assert not list(tmp_path.iterdir())
    del kept


@pytest.mark.parametrize("check", ["check_thinning", "check_all_write_summaries"])
def test_a_fit_that_a_check_refuses_takes_no_lock(tmp_path, monkeypatch, check):
    taken = []
    monkeypatch.setattr(DirectoryLock, "take", lambda *_: taken.append(True))
    monkeypatch.setattr(fit_checks, check, stop)
    with pytest.raises(InterruptedError):
        fit(tmp_path)
    assert not taken
