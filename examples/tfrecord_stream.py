"""Adaptive batches from TFRecord shards that are never in memory at once, to an exported model.

Writes text with labels as shards of `tf.train.Example`, trains on them as a stream with a strategy,
exports the model, loads it again and lets it predict raw strings. With `--data-dir` the text is
GoEmotions (`goemotions_train.tsv.gz`, `goemotions_test.tsv.gz`, `goemotions_labels.txt` in that
directory: Reddit comments, 28 labels, IRLbl up to 185); without, made-up sentences in that form.
"""

import argparse
import csv
import gzip
import os
import tempfile
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")

import numpy as np
import tensorflow as tf
from sklearn.metrics import average_precision_score

import tfmlselect as tfml

SHARDS, WORDS = 8, 8000


def made_up_comments(n, seed):
    """Sentences of fillers and, for each label, one of its own words: (texts, label ids), names."""
    rng = np.random.default_rng(seed)
    names = ["joy", "anger", "surprise", "fear", "grief", "pride"]
    weights = 0.6 ** np.arange(6) / np.sum(0.6 ** np.arange(6))
    texts, labels = [], []
    for _ in range(n):
        ids = sorted(set(rng.choice(6, size=rng.integers(1, 3), p=weights).tolist()))
        words = [f"{names[i]}{rng.integers(4)}" for i in ids]
        words += [f"filler{i}" for i in rng.integers(200, size=8)]
        texts.append(" ".join(rng.permutation(words)))
        labels.append(ids)
    return (texts, labels), names


def load_comments(data_dir, part, quick):
    """Texts and label ids of one part, "train" or "test", and the names of the labels."""
    if data_dir is None:
        return made_up_comments(
            {"train": 4000, "test": 1000}[part] // (4 if quick else 1), len(part)
        )
    path = Path(data_dir)
    with gzip.open(path / f"goemotions_{part}.tsv.gz", "rt", encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    rows = rows[:2000] if quick else rows
    labels = [[int(i) for i in row[1].split(",")] for row in rows]
    names = (path / "goemotions_labels.txt").read_text(encoding="utf-8").split()
    return ([row[0] for row in rows], labels), names


def write_shards(texts, labels, directory):
    """One file a shard; samples in random order, so that every window holds every kind."""
    order = np.random.default_rng(0).permutation(len(texts))
    for shard in range(SHARDS):
        with tf.io.TFRecordWriter(str(directory / f"part-{shard:02d}.tfrecord")) as writer:
            for i in order[shard::SHARDS]:
                text = tf.train.Feature(bytes_list=tf.train.BytesList(value=[texts[i].encode()]))
                ids = tf.train.Feature(int64_list=tf.train.Int64List(value=labels[i]))
                features = tf.train.Features(feature={"text": text, "labels": ids})
                writer.write(tf.train.Example(features=features).SerializeToString())


def read_shards(directory, n, q):
    """A dataset of single samples (text, 0/1 vector), in the same order in every pass."""
    form = {
        "text": tf.io.FixedLenFeature([], tf.string),
        "labels": tf.io.RaggedFeature(tf.int64),
    }

    def parse(record):
        example = tf.io.parse_single_example(record, form)
        hot = tf.one_hot(example["labels"], q)  # (labels of the sample, q), which may be none
        return example["text"], tf.minimum(tf.reduce_sum(hot, axis=0), 1.0)

    files = tf.data.Dataset.from_tensor_slices(sorted(map(str, directory.glob("*.tfrecord"))))
    records = files.interleave(
        tf.data.TFRecordDataset, cycle_length=4, num_parallel_calls=2, deterministic=True
    )
    # A file of records does not know how many it holds: say it.
    counted = records.apply(tf.data.experimental.assert_cardinality(n))
    return counted.map(parse, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)


def make_model(texts, q):
    """From raw strings to probabilities: the vocabulary is part of the model."""
    vectorize = tf.keras.layers.TextVectorization(WORDS, output_sequence_length=32)
    vectorize.adapt(texts.batch(256))
    return tf.keras.Sequential(
        [
            tf.keras.Input((), dtype="string"),
            vectorize,
            tf.keras.layers.Embedding(WORDS, 64),
            tf.keras.layers.GlobalAveragePooling1D(),
            tf.keras.layers.Dense(q, activation="sigmoid"),
        ]
    )


def export_and_reload(model, texts, directory):
    """Exports the model and returns what the loaded SavedModel predicts of raw strings."""
    model.export(str(directory), verbose=False)
    served = tf.saved_model.load(str(directory))
    return served.serve(tf.constant(texts)).numpy()


def main(arguments=None):
    """Writes, trains, measures, exports, serves."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-dir", help="directory of the GoEmotions files; else made-up text")
    known = tfml.strategies.names()
    parser.add_argument("--strategy", choices=known, default="online_batch")
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--window", type=int, default=4096, help="samples shuffled together")
    parser.add_argument("--quick", action="store_true", help="few samples")
    options = parser.parse_args(arguments)

    (texts, labels), names = load_comments(options.data_dir, "train", options.quick)
    (test_texts, test_labels), _ = load_comments(options.data_dir, "test", options.quick)
    q = len(names)
    y_test = np.array([np.isin(np.arange(q), ids) for ids in test_labels])
    with tempfile.TemporaryDirectory() as scratch:
        shards = Path(scratch, "shards")
        shards.mkdir()
        write_shards(texts, labels, shards)
        source = read_shards(shards, len(texts), q)
        select = tfml.adaptive(options.strategy, batch_size=128, window=options.window, seed=0)
        train = source.apply(select)
        print(train)

        tf.keras.utils.set_random_seed(0)
        model = make_model(source.map(lambda text, y: text), q)
        model.compile(tf.keras.optimizers.Adam(3e-3), "binary_crossentropy")
        callback = tfml.AdaptiveBatchSelection(train)
        model.fit(train, epochs=options.epochs, shuffle=False, verbose=2, callbacks=[callback])
        p = model.predict(tf.constant(test_texts), batch_size=256, verbose=0)
        present = y_test.any(axis=0)
        score = average_precision_score(y_test[:, present], p[:, present], average="macro")
        print(f"macro-AP on the test part: {score:.4f}")
        seen = callback.history["selection/unique_samples"][-1]
        print(f"samples seen in the last epoch: {seen:.1%}")

        served = export_and_reload(model, test_texts[:100], Path(scratch, "export"))
        difference = np.abs(served - p[:100]).max()
        print(f"served from the exported model: largest difference {difference:.1e}")


if __name__ == "__main__":
    main()
