"""Takes and keeps the lock of a directory: `lock_run.py DIRECTORY`, run by test_two_writers."""

import os
import sys

from tfmlselect.callbacks.directory_lock import DirectoryLock


def main(directory):
    """Says whether the directory was free; then a child outlives the process that has the lock."""
    lock = DirectoryLock(directory)
    print("taken" if lock.take() else "refused", flush=True)
    if hasattr(os, "fork") and os.fork() == 0:
        print("child", flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main(*sys.argv[1:])
