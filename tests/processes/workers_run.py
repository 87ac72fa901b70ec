"""One of several workers: `workers_run.py TASK NUMBER PORTS RESULT`, run by test_workers.

With one port it is the single machine that several are compared with.
"""

import contextlib
import importlib.util
import json
import os
import re
import shutil
import sys
import tempfile
import warnings
from pathlib import Path

import numpy as np
import tensorflow as tf

import tfmlselect as tfml
from tests.support.watching import Watch
from tfmlselect.distributed import workers

Q = 6
UNKNOWN = ("repeat_factor", "uncertainty", "d2ace", "positive_hardness", "adaptive_balance")


def training_set(n):
    """Labels (n, Q) from frequent to rare, in a skewed order, features, and neighbours (n, 6).

    Neighbours are inside halves: where two workers hold half each, both have all they name.
    """
    rng = np.random.default_rng(1)
    x = rng.normal(size=(n, 8)).astype("float32")
    y = (x[:, :Q] > np.linspace(0.0, 1.6, Q)).astype("uint8")
    order = np.argsort(y[:, 0] + 2 * y[:, 1], kind="stable")  # workers get different labels
    half = n // 2
    neighbors = np.stack([(np.arange(n) + k) % half for k in range(1, 7)], axis=1)
    neighbors += np.where(np.arange(n) < half, 0, half)[:, None]
    return x[order], y[order], neighbors


def shard(number, count, n):
    """The samples that a worker holds."""
    return np.arange(n)[number * n // count : (number + 1) * n // count]


def each_strategy(losses):
    """All strategies, by name, with constant pressures: as different as they can be."""
    for name in tfml.strategies.names():
        rare = tfml.strategies.RareEvents(
            [Q - 1], draw="predicted"
        )  # hardly a sample here is empty of all labels
        yield name, rare if name == "rare_events" else tfml.strategies.get(name)
    yield "correlated", tfml.strategies.HardImbalance(weighting="local", pressure=16.0)
    yield "learnt", tfml.strategies.Learnability(losses)
    yield "capped", tfml.strategies.AdaptiveBalance(max_repeats=1.5, correction_rounds=2)
    parts = [("online_batch", 0.25), ("label_balanced", 0.75)]
    yield "mixture", tfml.strategies.Mixture(parts)
    turns = [("online_batch", 0.2), ("positive_hardness", 1.0)]  # of 100 epochs, asked after 30
    yield "switch", tfml.strategies.Switch(turns)


def distributions(strategy, number, count):
    """What each strategy makes of the same three visits, and the bytes that it sends for it."""
    sent = []
    total = workers.total

    def counting(x):
        result = total(x)
        sent.append(int(np.prod(result.shape)) * result.dtype.size)
        return result

    workers.total = counting
    results = {}
    for n in (400, 4000):
        x, y, neighbors = training_set(n)
        here = shard(number, count, n)
        rng = np.random.default_rng(2)
        visits = np.clip(0.4 * y + 0.6 * rng.random((3, n, Q)), 0, 1).astype("float32")
        for name, selector in each_strategy(rng.random(n)[here]):
            sent.clear()
            with workers.together(strategy), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                selector.build(y[here], x[here], neighbors[here] - here[0])
                for p in visits:
                    selector.observe(np.arange(len(here)), p[here])
                results[f"{name}_{n}"] = selector.probabilities(30).numpy()
            results[f"{name}_{n}_sent"] = sum(sent)
            with workers.together(strategy):
                parts = selector.score_parts(np.arange(len(here))).values()
            results[f"{name}_{n}_parts"] = np.reshape([*parts], (-1, len(here)))
    return results | of_unknown(strategy, number, count)


def of_unknown(strategy, number, count, n=400):
    """Distributions where labels are unknown of samples of the first worker alone."""
    x, y, neighbors = training_set(n)
    here = shard(number, count, n)
    rng = np.random.default_rng(3)
    known = (rng.random(y.shape) < 0.6) | (np.arange(n) >= n // 2)[:, None]
    y, p = np.where(known, y, np.float32("nan")), rng.random(y.shape, np.float32)
    results = {}
    for name in UNKNOWN:
        selector = tfml.strategies.get(name)
        with workers.together(strategy):
            selector.build(y[here], x[here], neighbors[here] - here[0])
            selector.observe(np.arange(len(here)), p[here])
            results[f"{name}_unknown"] = selector.probabilities(30).numpy()
    return results


N = 84


def make_run(strategy, number, count, rate, kind="whole"):
    """This worker's x, an adaptive dataset of its samples, and a model."""
    x, y, neighbors = training_set(N)
    here = shard(number, count, N)
    with strategy.scope() if strategy else contextlib.nullcontext():
        start = tf.keras.initializers.RandomUniform(-1, 1, seed=1)
        dense = tf.keras.layers.Dense(Q, "sigmoid", kernel_initializer=start)
        model = tf.keras.Sequential([tf.keras.Input((8,)), dense])
        loss = tfml.losses.PartialLabelMasking(odds=tfml.label_statistics(y).odds, mask="expected")
        model.compile(tf.keras.optimizers.SGD(rate), loss)
    options = {"batch_size": 14 // count, "seed": 0}
    if kind == "short":  # two thirds of a pass
        options |= {"samples_per_epoch": 56 // count, "importance_weights": 1.0}
        selector = tfml.strategies.AdaptiveBalance(epochs=4)
    elif kind == "uniform":
        selector = tfml.strategies.Uniform()
    else:
        options["neighbors"] = neighbors[here] - here[0]
        selector = tfml.strategies.D2ACE(warmup=1, epochs=4)
    train = tfml.adaptive_dataset((x[here], y[here]), selector, **options)
    return x[here], train.map(lambda *batch: batch), model


def resume(strategy, number, count):
    """A run of four epochs, and one that is put back after two."""
    results = {}
    with tempfile.TemporaryDirectory() as parent:
        runs = {
            f"{kind}_{part}": (kind, epochs, place and f"{parent}/{kind}")
            for kind in ("whole", "short")
            for part, epochs, place in (("run", 4, ""), ("first", 2, "kept"), ("second", 4, "kept"))
        }
        for name, (kind, epochs, place) in runs.items():
            _, train, model = make_run(strategy, number, count, 0.5, kind)
            selection, watch = (
                tfml.AdaptiveBatchSelection(train, backup_dir=place or None, verbose_logs=True),
                Watch(train),
            )
            start = selection.restore(model) if name.endswith("second") else 0
            run = {"initial_epoch": start, "epochs": epochs, "verbose": 0}
            history = model.fit(train, callbacks=[selection, watch], **run).history
            results |= {
                f"{name}_plans": watch.plans,
                f"{name}_kernel": model.get_weights()[0],
                f"{name}_imbalance": history.get("selection/shard_imbalance", []),
            }
    return results


def written(folder):
    """The labels' lines in a directory of event files, and the number of files."""
    files = list(Path(folder).glob("selection/*tfevents*"))
    found = {}
    for file in files:
        for record in tf.data.TFRecordDataset(str(file)):
            for value in tf.compat.v1.Event.FromString(record.numpy()).summary.value:
                if value.tag.startswith("label_"):
                    found.setdefault(value.tag, []).append(float(tf.make_ndarray(value.tensor)))
    return {"files": len(files), **{tag: np.array(line) for tag, line in found.items()}}


def fit(strategy, number, count):
    """One fit with a rate of 0, which shows what is recorded, and one that learns."""
    results = {}
    folder = tempfile.mkdtemp() if importlib.util.find_spec("tensorboard") else None
    for name, rate in (("still", 0.0), ("learning", 0.5)):
        x, train, model = make_run(strategy, number, count, rate)
        loss, watch = model.loss, Watch(train)
        progress = tfml.callbacks.TrainingProgress(training_set(N)[1].sum(axis=0))
        log_dir = folder if name == "still" else None
        selection = tfml.AdaptiveBatchSelection(train, log_dir=log_dir, verbose_logs=True)
        callbacks = [progress, selection, watch]
        history = model.fit(train, epochs=4, verbose=0, callbacks=callbacks).history
        results |= {
            f"{name}_plans": watch.plans,
            f"{name}_drawn_from": watch.distributions,
            f"{name}_distribution": train.mass * train.probabilities,
            f"{name}_masses": [*watch.masses, train.mass],
            f"{name}_prediction": train.strategy.state["prediction"].numpy(),
            f"{name}_expected": model(x).numpy(),
            f"{name}_kernel": model.get_weights()[0],
            f"{name}_ideal": loss.ideal.numpy(),
            f"{name}_recall": progress.history["recall"],
        }
        results |= {
            f"{name}_{figure.split('/')[1]}": values
            for figure, values in history.items()
            if figure.startswith("selection/")
        }
    _, train, model = make_run(strategy, number, count, 0.0, "uniform")
    callbacks = [tfml.AdaptiveBatchSelection(train, verbose_logs=True)]
    history = model.fit(train, epochs=2, verbose=0, callbacks=callbacks).history
    results["uniform_variance_ratio"] = history["selection/variance_ratio"]
    if folder is not None:
        results |= {f"written_{name}": value for name, value in written(folder).items()}
        shutil.rmtree(folder)
    return results


def page(strategy, number, count):
    """The blocks of docs/distributed.md, one after the other."""
    text = (Path(__file__).parents[2] / "docs" / "distributed.md").read_text(encoding="utf-8")
    names = {}
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        for block in re.findall(r"```python\n(.*?)```", text, flags=re.S):
            exec(compile(block, "distributed.md", "exec"), names)
        kept = len(list(Path(f"run-{number}").iterdir()))
    return {
        "kept": kept,
        "epochs": names["train"].epoch,
        "shard": names["shard"],
        "kernel": names["model"].get_weights()[0],
    }


def refusals(strategy, number, count):
    """What is said to workers whose epochs, strategies or directories differ, or end in a part."""
    said = {}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for kind in ("size", "strategy", "part", "same", "board", "apart"):
            n = {"size": 60 + 20 * number, "part": 60 + 5 * number}.get(kind, 60)
            name = "d2ace" if (kind, number) == ("strategy", 1) else "online_batch"
            x, y, _ = training_set(n)
            log_dir = None
            if kind == "board":
                x, log_dir = x + number, ["logs", None][number]
            with contextlib.nullcontext() if kind == "apart" else strategy.scope():
                dense = tf.keras.layers.Dense(Q, "sigmoid")
                model = tf.keras.Sequential([tf.keras.Input((8,)), dense])
                model.compile("sgd", "binary_crossentropy")
            try:
                train = tfml.adaptive_dataset((x, y), name, batch_size=10)
                selection = tfml.AdaptiveBatchSelection(train, log_dir=log_dir)
                model.fit(train, verbose=0, callbacks=[selection])
                said[kind] = ""
            except (ValueError, RuntimeError, ImportError) as error:
                said[kind] = str(error)
    return said | {"warnings": [str(each.message) for each in caught]}


def main(task, number, ports, result):
    """Joins the others, does the task and writes its arrays."""
    addresses = [f"127.0.0.1:{port}" for port in ports.split(",")]
    strategy = None
    if len(addresses) > 1:
        here = {"type": "worker", "index": number}
        os.environ["TF_CONFIG"] = json.dumps({"cluster": {"worker": addresses}, "task": here})
    if len(addresses) > 1 and task != "page":  # which makes its own
        strategy = tf.distribute.MultiWorkerMirroredStrategy()
    np.savez(result, **globals()[task](strategy, number, len(addresses)))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), *sys.argv[3:])
