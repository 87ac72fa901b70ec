"""The benchmark runs on Keras 3, with the packages of the extra `benchmark`."""

import gc
from importlib.util import find_spec

import pytest
import tensorflow as tf

NEEDED = ("pandas", "tqdm", "skmultilearn", "scikit_posthocs", "river", "mlxtend")
if not hasattr(tf.keras, "version") or not all(map(find_spec, NEEDED)):  # Keras 2 has none
    collect_ignore_glob = ["test_*.py"]


@pytest.fixture(scope="module")
def little_to_collect():
    """statsmodels collects garbage in each correction: not what is left of all tests before."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()
