"""Processes that end while they write a backup: `backup_kills_run.py DIRECTORY SITUATION ...`.

At each of its operations on files in turn. Run by test_backup_kills.py; prints a line of JSON for
each: what was read then, and what was there when a next process had written it.
"""

import itertools
import json
import os
import shutil
import sys
from pathlib import Path

from tests.support.file_faults import (
    CODE,
    ends,
    faults,
    found,
    prepare,
    without_waiting,
    write,
)


def ended(directory, epoch, at):
    """Whether a process that writes a backup is over before it is done."""
    child = os.fork()
    if child == 0:
        with faults(ends, at):
            write(directory, epoch, 1)
        os._exit(0)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code in (0, CODE), code
    return code == CODE


def main(directory, *situations):
    """Tries all operations of each situation."""
    directory = Path(directory)
    for situation in situations:
        for at in itertools.count():
            shutil.rmtree(directory, ignore_errors=True)
            epoch = prepare(directory, situation)
            early = ended(directory, epoch, at)
            read, _ = found(directory)
            write(directory, epoch, 1)
            print(json.dumps({"situation": situation, "read": read, "after": found(directory)}))
            if not early:
                break


if __name__ == "__main__":
    with without_waiting():
        main(*sys.argv[1:])
