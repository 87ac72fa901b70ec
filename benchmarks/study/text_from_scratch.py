"""A text network trained from scratch, as in the tutorial: does its gain hold over seeds and rates?

    python -m benchmarks.study.text_from_scratch --data-dir DIR          # prints the table
    python -m benchmarks.study.text_from_scratch --data-dir DIR --write  # keeps it, for the docs

GoEmotions in its authors' training, development and test part; an embedding, its mean over the
words, and one hidden layer. Each run is judged on the test part at the epoch that the development
part finds best, and at the last. After --write, `python -m benchmarks.evidence.overview` writes
docs/evidence/text_from_scratch.md.
"""

from __future__ import annotations

import argparse
import json
import os
from itertools import product

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf
from tqdm import tqdm

import tfmlselect as tfml
from benchmarks.evidence.text_table import FILE, SHOWN, STRATEGIES, table
from benchmarks.study import data
from benchmarks.study.evaluation import Evaluation
from benchmarks.study.variants import of_paper

RATES = (1e-3, 3e-3, 1e-2)
SEEDS = (0, 1, 2)
EPOCHS = 8
WORDS, LENGTH = 8000, 32


def main() -> None:
    """Runs all, prints the table, and keeps the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-dir", default=os.environ.get("TFMLSELECT_DATA"))
    parser.add_argument("--write", action="store_true", help="keep the figures for the docs")
    options = parser.parse_args()
    from benchmarks.study.training import one_thread_and_deterministic

    one_thread_and_deterministic()
    parts = tokens([data.goemotions(options.data_dir, part) for part in ("train", "dev", "test")])
    runs = [
        run(parts, strategy, rate, seed)
        for rate, seed, strategy in tqdm([*product(RATES, SEEDS, STRATEGIES)])
    ]
    print(table(runs))
    if options.write:
        FILE.write_text(json.dumps(runs, indent=1) + "\n", encoding="utf-8")


def tokens(parts: list[tuple]) -> list[tuple[np.ndarray, np.ndarray]]:
    """(texts, y) of each part as (ids of words (n, LENGTH), y); the words are the first part's."""
    vectorize = tf.keras.layers.TextVectorization(WORDS, output_sequence_length=LENGTH)
    vectorize.adapt(tf.data.Dataset.from_tensor_slices(parts[0][0]).batch(512))
    return [(vectorize(tf.constant(texts)).numpy().astype("int32"), y) for texts, y in parts]


def run(parts: list[tuple], strategy: str, rate: float, seed: int) -> dict:
    """One fit, judged."""
    (x, y), *judged_on = parts
    tf.keras.backend.clear_session()
    tf.keras.utils.set_random_seed(seed)
    model = tf.keras.Sequential(
        [
            tf.keras.Input((LENGTH,), dtype="int32"),
            tf.keras.layers.Embedding(WORDS, 64),
            tf.keras.layers.GlobalAveragePooling1D(),
            tf.keras.layers.Dense(128, activation="relu"),
            tf.keras.layers.Dense(y.shape[1], activation="sigmoid"),
        ]
    )
    model.compile(tf.keras.optimizers.Adam(rate), "binary_crossentropy")
    train = tfml.adaptive_dataset(
        (x, y), of_paper(strategy), batch_size=128, seed=seed, draws="independent"
    )
    evaluation = Evaluation(*judged_on, every=1)
    callbacks = [tfml.AdaptiveBatchSelection(train), evaluation]
    model.fit(train, epochs=EPOCHS, shuffle=False, verbose=0, callbacks=callbacks)
    result = evaluation.result(tfml.label_statistics(y).minority)
    kept = {name: round(result[name], 5) for name in ("best_validation", "best_epoch", *SHOWN)}
    return {"strategy": strategy, "rate": rate, "seed": seed, **kept}


if __name__ == "__main__":
    main()
