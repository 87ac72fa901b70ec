"""The benchmark runs on Keras 3, with the packages of the extra `benchmark`."""

import gc
from importlib.util import find_spec

import pytest
import tensorflow as tf

NEEDED = ("pandas", "tqdm", "skmultilearn", "scikit_posthocs", "river", "mlxtend")
if not hasattr(tf.keras, "version") or not all(map(find_spec, NEEDED)):  # Keras 2 has none
    collect_ignore_glob = ["test_*.py"]


@pytest.fixture(scope="module", autouse=True)
def _few_objects_to_look_through():
    """What earlier tests left is no garbage: statsmodels collects some in each correction of p."""
    gc.freeze()
    yield
    gc.unfreeze()
