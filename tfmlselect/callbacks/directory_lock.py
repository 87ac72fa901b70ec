"""A lock on a directory: one fit at a time writes into it, of whichever process.

The operating system keeps the lock and forgets it with the process: who is killed leaves none
behind, only an empty file, which the next one takes. Where a file system knows no locks, as some
network disks do not, nobody is kept out.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import weakref

from tfmlselect._running_fit import RunningFit

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

NAME = ".tfmlselect-lock"

# Taken again by a thread that has it: the garbage collector may run at any moment, also in `take`,
# and end an interrupted fit, which gives its own lock back.
_changes = threading.RLock()
_held: weakref.WeakValueDictionary[str, DirectoryLock] = weakref.WeakValueDictionary()


class DirectoryLock:
    """The lock of one directory, for one fit after the other.

    A fit that raised may not have given its lock back. Within a process the fit itself is asked
    whether it runs. Where it is not known, one thread has one fit: what was taken in this thread,
    or in one that is over, is free again.

    Args:
        directory: that is there when the lock is taken.
    """

    def __init__(self, directory: str):
        self._directory = directory
        self._thread: threading.Thread | None = None
        self._fit: RunningFit | None = None
        self._let_go: weakref.finalize | None = None

    def take(self, fit: RunningFit | None = None) -> bool:
        """Whether the directory is free, and belongs to the fit of this thread from now on.

        Args:
            fit: that takes it; None where it is not known.

        Raises:
            OSError: no file can be made in the directory.
        """
        path = os.path.join(os.path.realpath(self._directory), NAME)
        with _changes:
            self._release()  # of an earlier fit
            other = _held.get(path)
            if other is not None:
                if other._fit_may_run():
                    return False
                other._release()
            handle = _locked_file(path)
            if handle is None:
                return False
            self._thread, self._fit = threading.current_thread(), fit
            self._let_go = weakref.finalize(self, _unlock, path, handle, os.getpid())
            _held[path] = self
            return True

    def release(self) -> None:
        """The fit is over."""
        with _changes:
            self._release()

    def _release(self) -> None:
        let_go, self._let_go, self._thread, self._fit = self._let_go, None, None, None
        if let_go is not None:
            let_go()

    def _fit_may_run(self) -> bool:
        thread, fit = self._thread, self._fit
        if fit is not None:
            return fit.is_running()
        return thread is not None and thread.is_alive() and thread is not threading.current_thread()


def _locked_file(path: str) -> int | None:
    """A handle of the locked file; None where another process has locked it."""
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            _lock(handle)
        except (BlockingIOError, PermissionError):
            os.close(handle)
            return None
        except OSError:  # of a file system without locks
            return handle
        # Who had it before may have removed the file after it was opened here.
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(handle), os.stat(path)):
                return handle
        os.close(handle)


def _lock(handle: int) -> None:
    if sys.platform == "win32":
        msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
    else:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _unlock(path: str, handle: int, process: int) -> None:
    if process != os.getpid():  # a child of the process that has the lock
        return
    with contextlib.suppress(OSError):  # Windows removes no open file: there it stays
        own = os.fstat(handle)
        if own.st_size == 0 and os.path.samestat(own, os.stat(path)):
            os.unlink(path)  # before it is unlocked: later it may be another's
    os.close(handle)


def _close_in_child() -> None:
    """A child that outlives its killed parent must not keep the lock."""
    for lock in list(_held.values()):
        taken = lock._let_go.detach() if lock._let_go is not None else None
        if taken is not None:
            _, handle, _ = taken[2]
            os.close(handle)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_close_in_child)
