"""The benchmark runs on Keras 3, with the packages of the extra `benchmark`."""

from importlib.util import find_spec

import tensorflow as tf

NEEDED = ("pandas", "tqdm", "skmultilearn", "scikit_posthocs", "river", "mlxtend")
if not hasattr(tf.keras, "version") or not all(map(find_spec, NEEDED)):  # Keras 2 has none
    collect_ignore_glob = ["test_*.py"]
