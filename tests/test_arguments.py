"""Every argument of every public constructor and function refuses what it cannot be, in one form.

The form is *what is wrong. Received: what. What to do.* Each parameter in turn is given each of the
values in `WRONG`. Those that it may be are listed in the table at the end of this file and have to
be accepted; all others have to be refused.

A new public name is one entry of that table: valid arguments where it needs some, then what each of
its parameters may be.

    expect("losses.NewLoss", {"odds": ODDS})(odds=NOTHING, margin=FRACTION, from_logits=FLAG)
"""

import functools
import inspect
import re
import types
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest
import tensorflow as tf

import tfmlselect as tfml
import tfmlselect.plots


class SomeClass:
    """A class where an object is wanted."""


class Unshowable:
    """An error message must do without the repr of what was received."""

    def __repr__(self):
        raise RuntimeError("no repr")


WRONG = {
    "None": None,
    "True": True,
    "'x'": "x",
    "'5'": "5",
    "''": "",
    "b'x'": b"x",
    "-1": -1,
    "0.5": 0.5,
    "inf": float("inf"),
    "nan": float("nan"),
    "1j": 1j,
    "10**400": 10**400,
    "object": object(),
    "unshowable": Unshowable(),
    "[]": [],
    "{}": {},
    "(1,)": (1,),
    "[None]": [None],
    "class": SomeClass,
    "function": lambda *_: None,
    "matrix": np.full((2, 2), 0.5),
    "empty array": np.empty(0),
    "array of text": np.array(["a", "b"]),
    "scalar array": np.array(0.5),
    "ragged list": [[1, 0], [1]],
}
FORM = re.compile(r".+\. Received: .+\. [A-Z].+\.", re.DOTALL)

# What a parameter may be: names of `WRONG`, with a question mark where either way will do.
NOTHING: set[str] = set()
ANYTHING = set(WRONG)
NOT_FOR_USERS = {f"{kind}?" for kind in WRONG}
OPTIONAL = {"None"}
FLAG = {"True"}
FRACTION = {"0.5"}
NUMBER = {"-1", "0.5"}
SEED = {"10**400"}  # NumPy takes any size
MISSING = {"None", "-1", "nan"}  # what stands for an unknown label
TEXT = {"'x'", "'5'"}
FUNCTION = {"function"}
ONE_EACH = {"(1,)"}  # for a single sample


class Expectation(NamedTuple):
    """How a public name is called, and what its parameters may be."""

    valid: Callable[[], dict[str, Any]]
    call: Callable[..., Any]
    legal: dict[str, set[str]]
    errors: tuple[type[Exception], ...]


EXPECTED: dict[str, Expectation] = {}


def expect(name, valid=None, *, call=None, errors=()):
    """Notes what a public name must refuse: `expect(name, valid)(parameter=what it may be)`.

    Args:
        name: as it is reached from `tfmlselect`.
        valid: valid arguments, without those that have defaults; or a function that makes them.
        call: what is called with the arguments, where it is not the public name itself.
        errors: what it may raise besides ValueError and TypeError.
    """
    made = valid if callable(valid) else lambda: valid or {}

    def note(**legal):
        EXPECTED[name] = Expectation(made, call or public_names()[name], legal, tuple(errors))

    return note


@functools.cache
def public_names():
    """Constructors and functions by name: all of `__all__`, of the package and of its modules."""
    found, seen = {}, set()

    def walk(module, prefix):
        inner = []
        for name in module.__all__:
            value = getattr(module, name)
            if isinstance(value, types.ModuleType):
                inner.append((value, f"{prefix}{name}."))
            elif id(value) not in seen:
                seen.add(id(value))
                found[prefix + name] = value
        for each in inner:
            walk(*each)

    walk(tfml, "")
    walk(tfmlselect.plots, "plots.")  # imported where it is used: not in `__all__`
    return found


def parameters(name):
    """The names of its own parameters; those of **kwargs are Keras' to check."""
    several = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
    given = inspect.signature(public_names()[name]).parameters.values()
    return {each.name for each in given if each.kind not in several}


def error_of(expected, **changes):
    """The error that a call ends in; None where it is accepted."""
    arguments = {**expected.valid(), **changes}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            expected.call(**arguments)
        except Exception as error:
            return error
    return None


def problem(error, allowed):
    """What is not as it should be with the error that a wrong value leads to."""
    if error is None:
        return "is accepted"
    bare = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if type(error) not in (ValueError, TypeError, *allowed):
        return f"gives {type(error).__name__}: {error}"
    if not FORM.fullmatch(str(error)):
        return f"has another form, {type(error).__name__}: {error}"
    if bare is not None:
        return f"is a chain from {type(bare).__name__}: {bare}"
    return None


def test_every_public_name_is_known():
    assert set(EXPECTED) == set(public_names())


@pytest.mark.parametrize("name", sorted(public_names()))
def test_every_parameter_is_known(name):
    assert set(EXPECTED[name].legal) == parameters(name)


@pytest.mark.parametrize("name", sorted(public_names()))
def test_valid_arguments_are_accepted(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert error_of(EXPECTED[name]) is None


@pytest.mark.parametrize(
    ("name", "parameter"),
    [(name, each) for name in sorted(public_names()) for each in sorted(parameters(name))],
)
def test_wrong_arguments_are_refused_and_others_are_not(name, parameter, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert name in EXPECTED, f"{name} has no entry in the table at the end of this file"
    expected = EXPECTED[name]
    legal, found = expected.legal[parameter], []
    for kind, value in WRONG.items():
        if f"{kind}?" in legal:
            continue
        error = error_of(expected, **{parameter: value})
        what = problem(error, expected.errors)
        if kind in legal:
            what = error and f"is refused, {type(error).__name__}: {error}"
        if what:
            found.append(f"{name}({parameter}={kind}) {what}"[:200])
    assert not found, "\n".join(found)


def test_the_form_of_an_error():
    def raised(text, cause=None):
        try:
            raise ValueError(text) from cause
        except ValueError as error:
            return problem(error, ())

    good = "`k` must be 1. Received: k=2. Pass k=1."
    assert raised(good) is None
    assert raised(good, TypeError("bare")) == "is a chain from TypeError: bare"
    for text in ("k is wrong", "Received: k=2. Pass k=1.", "It is wrong. Received: k=2."):
        assert raised(text).startswith("has another form")
    assert problem(KeyError("k"), ()).startswith("gives KeyError")
    assert problem(None, ()) == "is accepted"


# --- the table ----------------------------------------------------------------------------------

X = np.random.default_rng(0).normal(size=(8, 2)).astype("float32")
Y = np.array([[1, 0, 0], [1, 1, 0], [1, 0, 1], [0, 0, 0]] * 2)
P = np.random.default_rng(1).random((8, 3))
ODDS = [1.0, 0.5, 0.25]
COUNTS = [6, 2, 2]


@functools.cache
def train():
    return tfml.adaptive_dataset((X, Y), "uniform", 2, seed=0)


def applied(**arguments):
    return tf.data.Dataset.from_tensor_slices((X, Y)).apply(tfml.adaptive(**arguments))


def entered(**arguments):
    with tfml.layers.training_step(**arguments):
        pass


def arff():
    """A small file where the test runs."""
    pytest.importorskip("arff")
    with open("small.arff", "w") as file:
        file.write("@relation r\n@attribute a real\n@attribute b {0,1}\n@data\n1,0\n2,1\n")
    return {"path": "small.arff", "labels": 1}


def watched():
    """A callback that saw one epoch."""
    progress = tfml.callbacks.TrainingProgress(COUNTS)
    progress.history = {name: [np.ones(3)] for name in progress.history}
    return {"progress": progress}


def parts():
    strategies = tfml.strategies
    return {"parts": [(strategies.Uniform(), 0.5), (strategies.LabelBalanced(), 0.5)]}


def turns():
    return {"parts": [("uniform", 0.5), ("label_balanced", 1.0)]}


# The package.
expect("label_statistics", {"y": Y})(y=NOTHING, label_names=OPTIONAL, missing=MISSING)
expect("potential", {"y": Y})(y=NOTHING, label_names=OPTIONAL, missing=MISSING)
expect("stratified_shards", {"y": Y, "workers": 2})(
    y=NOTHING, workers=NOTHING, seed=SEED, missing=MISSING
)
expect("adaptive_dataset", {"data": (X, Y), "strategy": "uniform", "batch_size": 2})(
    data=NOTHING,
    strategy=NOTHING,
    batch_size=NOTHING,
    seed=SEED | OPTIONAL,
    drop_remainder=FLAG,
    samples_per_epoch=OPTIONAL,
    draws=NOTHING,
    importance_weights=FRACTION,
    epochs=OPTIONAL,
    features=OPTIONAL,
    neighbors=OPTIONAL,
    sample_weight=OPTIONAL,
    labels=OPTIONAL,  # y is one array
    label_names=OPTIONAL,
    missing=MISSING,
    verbose=FLAG,
)
expect("adaptive", {"strategy": "uniform", "batch_size": 2, "window": 8}, call=applied)(
    strategy=NOTHING,
    batch_size=NOTHING,
    window=NOTHING,
    seed=SEED | OPTIONAL,
    drop_remainder=FLAG,
    samples_per_epoch=OPTIONAL,
    importance_weights=FRACTION,
    epochs=OPTIONAL,
    features=OPTIONAL | {"function?"},  # of x; what it gives is its own affair
    neighbors=OPTIONAL,
    labels=OPTIONAL,
    label_names=OPTIONAL,
    missing=MISSING,
    batched=OPTIONAL | {"True?"},  # these are samples
    x_changes=FLAG,
    verbose=FLAG,
)
# `adaptive_dataset` makes it; who calls the class is told so.
expect("AdaptiveDataset", call=lambda **given: tfml.AdaptiveDataset(**given) if given else train())(
    selection=NOTHING, transforms=NOT_FOR_USERS
)
expect("AdaptiveBatchSelection", lambda: {"dataset": train()})(
    dataset=NOTHING,
    scores=NOTHING,
    every=NOTHING,
    signal=FUNCTION,
    output=OPTIONAL | TEXT | {"(1,)"},
    from_logits=FLAG,
    check_order=FLAG,
    backup_dir=OPTIONAL | TEXT,
    backup_required=NOTHING,  # without a directory
    state_device=OPTIONAL,
    log_dir=OPTIONAL | TEXT,
    label_names=OPTIONAL,
    verbose_logs=FLAG,
)

# callbacks
expect("callbacks.LabelsForLayers")()
expect("callbacks.PartialLabelMaskingUpdate")(output=OPTIONAL | TEXT)
expect("callbacks.PositiveWeightsUpdate")(output=OPTIONAL | TEXT, epochs=OPTIONAL)
expect("callbacks.TrainingProgress", {"class_counts": COUNTS})(
    class_counts=NOTHING,
    head=OPTIONAL | TEXT,
    output=OPTIONAL | TEXT,
    from_logits=FLAG,
    missing=MISSING,
)

# datasets
expect("datasets.load_arff", arff, errors=[FileNotFoundError])(
    path=NOTHING, labels=NOTHING, label_location=NOTHING, encoding=OPTIONAL
)

# layers and losses
expect("layers.FeatureWeakening", {"class_counts": COUNTS})(
    class_counts=NOTHING, strength=FRACTION, exponent=FRACTION, mode=NOTHING, seed=NOTHING
)
# Labels are whatever the model has, of one output or of several: a layer says what it needs.
expect("layers.training_step", {"labels": Y}, call=entered)(labels=ANYTHING, weights=ANYTHING)
expect("losses.AsymmetricLoss")(
    gamma_positive=FRACTION,
    gamma_negative=FRACTION,
    margin=FRACTION,
    from_logits=FLAG,
    missing=MISSING,
    name=TEXT | OPTIONAL,
)
expect("losses.Masked")(
    loss=FUNCTION,
    missing=MISSING - OPTIONAL,
    from_logits=FLAG | OPTIONAL,
    name=TEXT | OPTIONAL,
)
expect("losses.PartialLabelMasking", {"odds": ODDS})(
    loss=FUNCTION,
    odds=NOTHING,
    mask=NOTHING,
    denominator=NOTHING,
    initial=FRACTION | {"scalar array"},
    rate=FRACTION,
    limit=NOTHING,
    direction=NOTHING,
    bins=NOTHING,
    smoothing=FRACTION,
    from_logits=FLAG | OPTIONAL,
    activation=NOTHING,
    missing=MISSING,
    seed=NOTHING,
    name=TEXT | OPTIONAL,
)
expect("losses.ThinnedLikelihood")(
    rate=FRACTION | OPTIONAL,
    labels=ONE_EACH | OPTIONAL,
    from_logits=FLAG,
    missing=MISSING,
    name=TEXT | OPTIONAL,
)
expect("losses.PositiveWeights", {"odds": ODDS})(
    loss=FUNCTION,
    odds=NOTHING,
    exponent=FRACTION,
    limit=NOTHING,
    odds_of=NOTHING,
    from_logits=FLAG | OPTIONAL,
    activation=NOTHING,
    missing=MISSING,
    name=TEXT | OPTIONAL,
)

# metrics
for metric in ("macro_auc", "macro_average_precision", "one_error", "tuned_thresholds"):
    expect(f"metrics.{metric}", {"y": Y, "y_pred": P})(y=NOTHING, y_pred=NOTHING, missing=MISSING)

# sampling and schedules
expect("sampling.pressure_probabilities", {"score": [0.0, 1.0], "pressure": 8.0})(
    score=ONE_EACH, pressure=NOTHING, lowest=OPTIONAL | NUMBER
)
expect("sampling.decayed_pressure", {"epoch": 5, "initial": 8.0, "start": 1, "end": 10})(
    epoch=FRACTION, initial=NOTHING, start=NUMBER, end=NUMBER
)
expect(
    "sampling.draw_epoch",
    {"probabilities": [0.5, 0.5], "batch_size": 1, "seed": 0, "epoch": 0},
)(
    probabilities=ONE_EACH,
    batch_size=NOTHING,
    seed=SEED,
    epoch=NOTHING,
    drop_remainder=FLAG,
)
expect("schedules.Schedule")()
expect("schedules.Constant", {"value": 1.0})(value=NUMBER)
expect("schedules.Ramp", {"first": 1.0, "last": 2.0})(
    first=NUMBER, last=NUMBER, start=FRACTION, end=FRACTION
)
expect("schedules.Decay", {"initial": 8.0})(initial=NOTHING, start=FRACTION, end=FRACTION)
expect("schedules.get", {"value": 1.0})(value=NUMBER)

# strategies
expect("strategies.get", {"name": "uniform"})(name=NOTHING)
expect("strategies.names")()
expect("strategies.Strategy")(warmup=FRACTION | OPTIONAL, epochs=OPTIONAL)
expect("strategies.Uniform")(epochs=OPTIONAL)
expect("strategies.LabelBalanced")(share=FRACTION, warmup=FRACTION | OPTIONAL, epochs=OPTIONAL)
expect("strategies.RepeatFactor")(threshold=FRACTION, warmup=FRACTION | OPTIONAL, epochs=OPTIONAL)
expect("strategies.ActiveBias")(warmup=FRACTION | OPTIONAL, epochs=OPTIONAL)
expect("strategies.OnlineBatch")(pressure=NOTHING, warmup=FRACTION | OPTIONAL, epochs=OPTIONAL)
expect("strategies.RecencyBias")(
    pressure=NOTHING, window=NOTHING, warmup=FRACTION | OPTIONAL, epochs=OPTIONAL
)
expect("strategies.PositiveHardness")(
    pressure=NOTHING,
    flip_weight=FRACTION,
    hardness=NOTHING,
    warmup=FRACTION | OPTIONAL,
    epochs=OPTIONAL,
)
expect("strategies.AdaptiveBalance")(
    share=FRACTION,
    max_repeats=NOTHING,
    correction_rounds=NOTHING,
    lack=NOTHING,
    warmup=FRACTION | OPTIONAL,
    epochs=OPTIONAL,
)
expect("strategies.RareEvents")(
    labels=ONE_EACH | OPTIONAL, empty_share=FRACTION, draw=NOTHING, epochs=OPTIONAL
)
expect("strategies.Uncertainty")(
    pressure=NOTHING,
    window=NOTHING,
    bins=NOTHING,
    correlation=OPTIONAL,
    warmup=FRACTION | OPTIONAL,
    epochs=OPTIONAL,
)
expect("strategies.HardImbalance")(
    pressure=NOTHING,
    neighbors=NOTHING,
    weighting=NOTHING,
    correlations=FLAG,
    warmup=FRACTION | OPTIONAL,
    epochs=OPTIONAL,
)
expect("strategies.D2ACE")(
    pressure=NOTHING,
    window=NOTHING,
    neighbors=NOTHING,
    flip_weight=FRACTION,
    hardness=NOTHING,
    warmup=FRACTION | OPTIONAL,
    decay_start=FRACTION,
    mix=NOTHING,
    mix_span=NOTHING,
    epochs=OPTIONAL,
)
expect("strategies.Learnability", {"reference_losses": np.ones(8)})(
    reference_losses=OPTIONAL | {"(1,)", "matrix"},
    pressure=NOTHING,
    warmup=FRACTION | OPTIONAL,
    epochs=OPTIONAL,
)
expect("strategies.Mixture", parts)(parts=NOTHING, epochs=OPTIONAL)
expect("strategies.Switch", turns)(parts=NOTHING, epochs=OPTIONAL)

# testing
expect("testing.check_strategy", {"strategy": "uniform"})(strategy=NOTHING)

# plots
ATTENTION = {"selection/label_attention": [np.ones(3), np.ones(3)]}
expect("plots.label_attention", {"history": ATTENTION, "y": Y})(
    history=NOTHING, y=NOTHING, label_names=OPTIONAL, missing=MISSING, ax=OPTIONAL
)
expect("plots.batch_composition", {"drawn": [0, 1], "y": Y})(
    drawn=ONE_EACH, y=NOTHING, label_names=OPTIONAL, missing=MISSING, ax=OPTIONAL
)
expect("plots.distribution", {"train": np.full(8, 1 / 8)})(train=ONE_EACH, ax=OPTIONAL)
expect("plots.label_correlations", {"y": Y})(
    y={"matrix"}, label_names=OPTIONAL, missing=MISSING, ax=OPTIONAL
)
expect("plots.training_progress", watched)(progress=NOTHING, quantity=NOTHING, ax=OPTIONAL)
expect("plots.learning_curves", {"histories": {"a": {"auc": [0.5, 0.6]}}, "metric": "auc"})(
    histories=NOTHING,
    metric=NOTHING,
    target=OPTIONAL | NUMBER,
    higher_is_better=OPTIONAL | FLAG,
    ax=OPTIONAL,
)
