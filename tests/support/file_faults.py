"""Faults at one of the operations on files that a backup is made of, counted."""

import contextlib
import errno
import os
from unittest import mock

import numpy as np

from tfmlselect.callbacks import backup_files

GROWING = {"mkdir", "open", "write", "fsync"}  # what a full disk refuses
CODE = 9  # of a process that ends


class Killed(BaseException):
    """Nothing is done any more: what a process that is killed leaves, without one."""


def full(number, at, name):
    """The disk is full at one operation, and has room again at once."""
    if number == at:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def full_from_then_on(number, at, name):
    """The disk is full from one operation on; what makes room works."""
    full(at if number >= at and name in GROWING else None, at, name)


def killed(number, at, name):
    """As if the process were killed."""
    if number >= at:
        raise Killed


def ends(number, at, name):
    """The process is over at once."""
    if number == at:
        os._exit(CODE)


def without_waiting():
    """Inside, nothing waits for the disk: it matters to a computer that stops, not to a process."""
    return mock.patch.object(os, "fsync", return_value=None)


class _Stream:
    """A file, each write to which is an operation; a fault comes when half of it is written."""

    def __init__(self, stream, before):
        self._stream, self._before = stream, before

    def write(self, content):
        half = len(content) // 2
        self._stream.write(content[:half])
        self._stream.flush()
        self._before("write")
        return half + self._stream.write(content[half:])

    def flush(self):
        self._stream.flush()

    def fileno(self):
        return self._stream.fileno()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._stream.close()


@contextlib.contextmanager
def faults(fault, at):
    """Inside, `fault(number, at, name)` is called before each operation; gives all their names."""
    operations = []

    def before(name):
        operations.append(name)
        fault(len(operations) - 1, at, name)

    def watched(name):
        operation = getattr(os, name)

        def run(*arguments, **options):
            before(name)
            return operation(*arguments, **options)

        return mock.patch.object(os, name, run)

    def watched_open(path, mode="r", buffering=-1, **options):
        if not mode.startswith("w"):
            return open(path, mode, **options)
        before("open")
        stream = open(path, mode, **options)  # noqa: SIM115, closed by what is given back
        return _Stream(stream, before)

    with contextlib.ExitStack() as stack:
        for name in ("mkdir", "replace", "unlink", "rmdir", "fsync"):
            stack.enter_context(watched(name))
        stack.enter_context(mock.patch.object(backup_files, "open", watched_open, create=True))
        yield operations


# What is there, and which epoch is then written.
SITUATIONS = {
    "the first": ([], 1),
    "the second": ([1], 2),
    "one more than are kept": ([1, 2], 3),
    "the only one, again": ([1], 1),
    "the newest, again": ([1, 2], 2),
    "the older one, again": ([1, 2], 1),
}


def write(directory, epoch, value):
    """A small backup."""
    arrays = [("a", np.full(3, value)), ("b", np.array(value))]
    backup_files.write(directory, epoch, arrays, {"value": value})


def prepare(directory, situation):
    """Writes what is there in a situation, and what is not ours; gives the epoch to be written."""
    there, epoch = SITUATIONS[situation]
    for name in ("epoch-best", "writing-x", "epoch-00000009"):
        (directory / name).mkdir(parents=True)
        (directory / name / "weights.h5").write_bytes(b"dear")
    for each in there:
        write(directory, each, 0)
    return epoch


def found(directory):
    """The epoch and the value that are read, and the names of what is there."""
    backup = backup_files.read(directory)
    read = None
    if backup is not None:
        values = {backup.facts["value"], *backup.arrays["a"].tolist(), int(backup.arrays["b"])}
        assert len(values) == 1
        read = [backup.facts["epoch"], *values]
    for name in ("epoch-best", "writing-x", "epoch-00000009"):
        assert (directory / name / "weights.h5").read_bytes() == b"dear"
    return read, sorted(path.name for path in directory.iterdir())


def allowed(situation):
    """What may be read after a fault: what was there, or what was written."""
    there, epoch = SITUATIONS[situation]
    before = [max(there), 0] if there else None
    after = [epoch, 1] if not there or epoch >= max(there) else before
    return before, after


def names_after(situation):
    """What is there once it was written, with what is not ours."""
    there, epoch = SITUATIONS[situation]
    ours = sorted({*there, epoch})[-backup_files.KEPT :]
    names = [f"epoch-{each:08d}" for each in ours]
    return sorted([*names, "epoch-00000009", "epoch-best", "writing-x"])
