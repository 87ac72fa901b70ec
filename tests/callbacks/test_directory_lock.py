"""The lock within one process; between processes in tests/processes."""

import gc
import threading

import numpy as np

from tfmlselect.callbacks.directory_lock import NAME, DirectoryLock


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
    gc.collect()
    assert not list(tmp_path.iterdir())


def test_a_file_of_that_name_with_something_in_it_stays(tmp_path):
    (tmp_path / NAME).write_bytes(np.arange(3).tobytes())
    lock = DirectoryLock(tmp_path)
    assert lock.take()
    lock.release()
    assert (tmp_path / NAME).read_bytes() == np.arange(3).tobytes()
