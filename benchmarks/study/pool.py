"""Runs cells in processes of their own, and hands over each row as it comes."""

from __future__ import annotations

import multiprocessing
import os
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed

# TensorFlow keeps something of every model; new processes forget it. The pool's own way to renew
# its processes, max_tasks_per_child, hangs in Python 3.11.
CELLS_A_PROCESS = 60


def run_all(cells: list, jobs: int, run: Callable) -> Iterator[tuple]:
    """Runs `run(cell)` for all, `jobs` at a time, begun in the order given.

    Yields:
        (cell, row, error) as they finish: a row and None, or None and the exception.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    for begin in range(0, len(cells), jobs * CELLS_A_PROCESS):
        yield from _run_some(cells[begin : begin + jobs * CELLS_A_PROCESS], jobs, run)


def _run_some(cells: list, jobs: int, run: Callable) -> Iterator[tuple]:
    with ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn"), _start) as pool:
        futures = {pool.submit(run, cell): cell for cell in cells}
        try:
            for future in as_completed(futures):
                error = future.exception()
                yield futures[future], None if error else future.result(), error
        finally:  # an interrupt does not wait for what has not begun
            pool.shutdown(cancel_futures=True)


def _start() -> None:
    from benchmarks.study.training import one_thread_and_deterministic

    warnings.simplefilter("ignore")
    one_thread_and_deterministic()
