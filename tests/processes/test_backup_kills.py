"""Whenever a process ends, a backup is what was there or what was to be written.

Without processes, and twice in a row, in tests/callbacks/test_backup_files.py.
"""

import collections
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.child_process import environment
from tests.support.file_faults import SITUATIONS, allowed, names_after

SCRIPT = Path(__file__).with_name("backup_kills_run.py")
QUICK = {"the only one, again"}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="each end is that of a forked process")
@pytest.mark.parametrize(
    "situations",
    [QUICK, pytest.param(SITUATIONS.keys() - QUICK, marks=pytest.mark.full)],
    ids=["one situation", "the others"],
)
def test_a_process_ends_at_each_operation(tmp_path, situations):
    """Nothing of ours is left over once a backup is written, and all that is not ours is there."""
    command = [sys.executable, "-W", "ignore", str(SCRIPT), str(tmp_path / "run"), *situations]
    done = subprocess.run(command, check=False, capture_output=True, env=environment())
    assert done.returncode == 0, done.stderr.decode()[-2000:]
    tried = collections.Counter()
    for line in map(json.loads, done.stdout.splitlines()):
        situation = line["situation"]
        assert line["read"] in allowed(situation), line
        assert line["after"] == [allowed(situation)[1], names_after(situation)], line
        tried[situation] += 1
    assert tried.keys() == situations
    assert min(tried.values()) > 20
