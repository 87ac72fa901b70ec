"""Data that would not fit into memory as one dense array: a fit never makes one of it."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.child_process import environment

SCRIPT = Path(__file__).with_name("memory_run.py")


@pytest.mark.skipif(sys.platform != "linux", reason="the limit is one of Linux")
@pytest.mark.parametrize(
    ("kind", "strategy"),
    [
        ("sparse", "online_batch"),
        pytest.param("sparse", "d2ace", marks=pytest.mark.full),  # searches neighbours in x
        pytest.param("memmap", "online_batch", marks=pytest.mark.full),
    ],
)
def test_a_fit_within_half_the_memory_of_x(kind, strategy, tmp_path):
    done = subprocess.run(
        [sys.executable, str(SCRIPT), kind, strategy, str(tmp_path)],
        check=False,
        capture_output=True,
        encoding="utf-8",
        # One heap of glibc, not one for each thread, whose gaps would count as memory in use.
        env=environment(MALLOC_ARENA_MAX="1"),
    )
    for file in tmp_path.iterdir():  # half a gigabyte, which pytest would keep
        file.unlink()
    assert done.returncode == 0, done.stderr[-2000:]
    size, allowed = map(int, re.search(r"(\d+) MiB did not fit into (\d+)", done.stdout).groups())
    assert size > 500
    assert allowed <= size / 2
    first, second = map(float, re.search(r"samples seen: (\S+) (\S+)", done.stdout).groups())
    assert first == 1
    assert 0.3 < second < 0.9
