"""One cell of the benchmark: a data set, a model, a variant, a fold and a budget give one row."""

from __future__ import annotations

import functools
import math
import time

import tensorflow as tf

import tfmlselect as tfml
from benchmarks.study import budgets, data, folds
from benchmarks.study.evaluation import Evaluation
from benchmarks.study.models import build, compile_model
from benchmarks.study.variants import VARIANTS, Variant


def one_thread_and_deterministic() -> None:
    """Makes runs repeatable to the last bit on one kind of machine; once, before the first."""
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    tf.config.experimental.enable_op_determinism()


@functools.lru_cache(maxsize=2)
def read(name: str, directory: str | None) -> data.Task:
    """A data set, kept for the next cell."""
    return data.load(name, directory)


def run_cell(
    name: str,
    model_name: str,
    strategy: str,
    fold: int,
    budget: str | budgets.Budget,
    directory: str | None = None,
) -> dict:
    """Trains and judges one model.

    The fold is the seed: initial weights, dropout and the draws of a strategy follow from it, so
    that two strategies of a fold differ in their batches alone.

    Args:
        name: the data set.
        model_name: of `benchmarks.study.models.MODELS`.
        strategy: of `VARIANTS`.
        fold: which fold tests.
        budget: a name, or a budget.
        directory: of the data.

    Returns:
        A row of the results, but for its environment.

    Raises:
        ValueError: no such variant.
    """
    if strategy not in VARIANTS:
        raise ValueError(f"Unknown variant. Received: {strategy!r}. Known: {', '.join(VARIANTS)}.")
    task, variant = read(name, directory), VARIANTS[strategy]
    if isinstance(budget, str):
        budget = budgets.get(budget, name, model_name)
    train_rows, validation, test = folds.split(name, task.y, fold)
    x = data.prepare(task.x, train_rows)
    y = task.y[train_rows]
    tf.keras.backend.clear_session()
    tf.keras.utils.set_random_seed(fold)
    model = build_variant(model_name, variant, x[train_rows], y, fold)

    begin = time.perf_counter()
    dataset = tfml.adaptive_dataset(
        (x[train_rows], y),
        variant.strategy(),
        batch_size=budgets.BATCH_SIZE,
        seed=fold,
        draws=variant.draws,
    )
    build_seconds = time.perf_counter() - begin
    steps = math.ceil(len(y) / budgets.BATCH_SIZE)
    options = {"loss": variant.loss(y)} if variant.loss else {}
    options["steps_per_execution"] = min(steps, 8)
    compile_model(model, budget.optimizer(len(y)), **options)
    evaluation = Evaluation((x[validation], task.y[validation]), (x[test], task.y[test]))
    selection = tfml.AdaptiveBatchSelection(dataset, scores=variant.scores)
    callbacks = [selection, evaluation]
    model.fit(dataset, epochs=budget.epochs, shuffle=False, verbose=0, callbacks=callbacks)

    seconds = sorted(evaluation.seconds)
    return {
        "data": name,
        "model": model_name,
        "strategy": strategy,
        "fold": fold,
        "budget": budget.name,
        "seed": fold,
        "n_train": len(y),
        "n_test": len(test),
        "d": x.shape[1],
        "q": y.shape[1],
        "batch_size": budgets.BATCH_SIZE,
        "epochs": budget.epochs,
        "steps": steps * budget.epochs,
        "learning_rate": budget.rate,
        "build_seconds": build_seconds,
        "seconds": sum(seconds),
        "epoch_seconds": seconds[len(seconds) // 2],
        **evaluation.result(tfml.label_statistics(y).minority),
    }


def build_variant(name: str, variant: Variant, x, y, seed: int) -> tf.keras.Model:
    """The model, with feature weakening before its head where the variant has it."""
    model = build(name, x, y)
    if variant.weakening:
        counts = tfml.label_statistics(y).counts
        weakening = tfml.layers.FeatureWeakening(counts, seed=seed)
        model = tf.keras.Sequential([*model.layers[:-1], weakening, model.layers[-1]])
        model.build((None, x.shape[1]))
    return model
