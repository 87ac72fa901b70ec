"""Fits of models with several outputs, whose y is a dict or a tuple."""

import numpy as np
import pytest
import tensorflow as tf

import tfmlselect as tfml
from tests.support.recorded_fits import Spy, run

N, Q = 24, 3
RNG = np.random.default_rng(0)
X = RNG.normal(size=(N, 4)).astype("float32")
TAGS = (X[:, :Q] > [0.0, 0.3, 0.6]).astype("float32")
IDS = X[:, :Q].argmax(axis=1)
PRICE = X[:, 3:] * 2
HEADS = {"sea": TAGS[:, 0], "boat": TAGS[:, 1:2], "gull": TAGS[:, 2], "price": PRICE}
LOGITS = tf.keras.losses.BinaryCrossentropy(from_logits=True)
BINARY = "binary_crossentropy"


def model_of(heads, structure=dict, rate=0.0, **options):
    """A model with an output (b, width) for each `name: (width, activation, loss)`."""
    inputs = tf.keras.Input((4,))
    outputs, losses = {}, {}
    for seed, (name, (width, activation, loss)) in enumerate(heads.items()):
        start = tf.keras.initializers.RandomUniform(-1, 1, seed=seed)
        dense = tf.keras.layers.Dense(width, activation, kernel_initializer=start, name=name)
        outputs[name], losses[name] = dense(inputs), loss
    if structure is not dict:
        outputs, losses = list(outputs.values()), list(losses.values())
    model = tf.keras.Model(inputs, outputs)
    model.compile(tf.keras.optimizers.SGD(rate), losses, **options)
    return model


TWO = {"tags": (Q, "sigmoid", BINARY), "price": (1, None, "mse")}
ONE_EACH = {
    "sea": (1, "sigmoid", BINARY),
    "boat": (1, None, LOGITS),
    "gull": (1, "sigmoid", "mse"),
    "price": (1, None, "mse"),
}


def predicted(model, names):
    """What the outputs predict, as they are: by name."""
    outputs = model.predict(X, verbose=0)
    return outputs if isinstance(outputs, dict) else dict(zip(names, outputs, strict=True))


def check_recorded(spy, expected, epochs=3):
    assert sorted(spy.ids) == sorted(spy.planned(*range(epochs)))
    np.testing.assert_allclose(np.stack(spy.rows), expected[spy.ids], rtol=1e-5, atol=1e-6)


def dataset(y, labels, strategy=None, **options):
    return tfml.adaptive_dataset((X, y), strategy or Spy(), 5, seed=1, labels=labels, **options)


def sigmoid(values):
    return 1.0 / (1.0 + np.exp(-values))


@pytest.mark.parametrize(
    ("structure", "y", "labels"),
    [
        (dict, {"tags": TAGS, "price": PRICE}, "tags"),
        (list, {"tags": TAGS, "price": PRICE}, "tags"),
        (list, (TAGS, PRICE), 0),
        (list, [TAGS, PRICE], 0),
    ],
    ids=["dicts", "dict for a list", "tuple", "list"],
)
def test_the_output_of_the_labels_is_recorded(structure, y, labels):
    model, train = model_of(TWO, structure), dataset(y, labels)
    history = run(model, train).history
    check_recorded(train.strategy, predicted(model, TWO)["tags"])
    assert np.isfinite(history["selection/variance_ratio"]).all()


@pytest.mark.parametrize("scores", ["record", "predict"])
@pytest.mark.parametrize("structure", [dict, list])
def test_outputs_of_one_label_each_are_joined(structure, scores):
    names = ["gull", "sea", "boat"]
    model, train = model_of(ONE_EACH, structure), dataset(HEADS, names)
    run(model, train, scores=scores)
    p = predicted(model, ONE_EACH)
    expected = np.concatenate([p["gull"], p["sea"], sigmoid(p["boat"])], axis=1)
    if scores == "record":
        check_recorded(train.strategy, expected)
    else:
        assert len(train.strategy.ids) == 3 * N
        rows = np.stack(train.strategy.rows)
        np.testing.assert_allclose(rows, expected[train.strategy.ids], rtol=1e-4)


def test_parts_by_index_and_of_several_columns():
    heads = {
        "first": (2, "softmax", "categorical_crossentropy"),
        "second": (1, "sigmoid", BINARY),
        "third": (2, None, tf.keras.losses.CategoricalCrossentropy(from_logits=True)),
    }
    pair = np.stack([TAGS[:, 0], 1 - TAGS[:, 0]], axis=1)
    model, train = model_of(heads, list), dataset((pair, TAGS[:, 1], pair), [2, 1])
    run(model, train)
    p = predicted(model, heads)
    third = tf.nn.softmax(p["third"]).numpy()
    check_recorded(train.strategy, np.concatenate([third, p["second"]], axis=1))


@pytest.mark.full
@pytest.mark.parametrize("options", [{"run_eagerly": True}, {"steps_per_execution": 2}], ids=str)
def test_however_the_step_runs(options):
    model = model_of(ONE_EACH, **options)
    train = dataset(HEADS, ["sea", "boat"])
    run(model, train, epochs=1)
    p = predicted(model, ONE_EACH)
    expected = np.concatenate([p["sea"], sigmoid(p["boat"])], axis=1)
    check_recorded(train.strategy, expected, epochs=1)


def test_streams():
    source = tf.data.Dataset.from_tensor_slices((X, HEADS))
    options = {"window": 20, "seed": 0, "labels": ["sea", "boat"]}
    train = source.apply(tfml.adaptive(Spy(), 5, **options))
    model = model_of(ONE_EACH)
    run(model, train)
    p = predicted(model, ONE_EACH)
    check_recorded(train.strategy, np.concatenate([p["sea"], sigmoid(p["boat"])], axis=1))


def test_class_ids_beside_another_output():
    heads = {"kind": (Q, "softmax", "sparse_categorical_crossentropy"), "price": TWO["price"]}
    model, train = model_of(heads), dataset({"kind": IDS, "price": PRICE}, "kind")
    run(model, train)
    check_recorded(train.strategy, predicted(model, heads)["kind"])


SAME = {"a": (Q, "sigmoid", BINARY), "b": (Q, None, LOGITS)}


@pytest.mark.parametrize(
    ("output", "share_of_a"), [(None, 1.0), ("b", 0.0), (["a", "b"], 0.5)], ids=str
)
def test_several_outputs_of_the_same_labels(output, share_of_a):
    model, train = model_of(SAME), dataset({"a": TAGS, "b": TAGS}, "a")
    run(model, train, output=output)
    p = predicted(model, SAME)
    check_recorded(train.strategy, share_of_a * p["a"] + (1 - share_of_a) * sigmoid(p["b"]))


def joined(x, y):
    return x, tf.concat([y["sea"][:, None], y["boat"], y["gull"][:, None]], axis=1)


def test_parts_that_a_map_joins_for_one_output():
    names = ["sea", "boat", "gull"]
    model = model_of({"all": (Q, None, LOGITS)}, list)
    train = dataset(HEADS, names).map(joined)
    run(model, train)
    check_recorded(train.strategy, sigmoid(model.predict(X, verbose=0)))

    def beside(x, y):
        return x, {"tags": joined(x, y)[1], "price": y["price"]}

    model, train = model_of(TWO), dataset(HEADS, names).map(beside)
    run(model, train, output="tags")
    check_recorded(train.strategy, predicted(model, TWO)["tags"])
    with pytest.raises(
        ValueError, match=r"2 outputs.*output=None, labels='sea'.*\['tags', 'price'"
    ):
        run(model_of(TWO), dataset(HEADS, names).map(beside))


@pytest.mark.filterwarnings("ignore:Gradients do not exist")
def test_a_step_of_ones_own_that_joins_outputs():
    """Parts of y, and an output of all labels beside another one."""

    class Own(tf.keras.Model):
        def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, **kwargs):
            return tf.reduce_mean(tf.square(joined(x, y)[1] - y_pred["tags"]))

        def compute_metrics(self, x, y, y_pred, sample_weight=None):
            return {"nothing": tf.constant(0.0)}

    inputs = tf.keras.Input((4,))
    start = tf.keras.initializers.RandomUniform(-1, 1, seed=0)
    tags = tf.keras.layers.Dense(Q, "sigmoid", kernel_initializer=start)(inputs)
    model = Own(inputs, {"tags": tags, "price": tf.keras.layers.Dense(1)(inputs)})
    model.compile(tf.keras.optimizers.SGD(0.0))
    train = dataset(HEADS, ["sea", "boat", "gull"])
    run(model, train, output="tags")
    check_recorded(train.strategy, model.predict(X, verbose=0)["tags"])


def test_a_signal_gets_the_joined_outputs():
    model, train = model_of(ONE_EACH), dataset(HEADS, ["sea", "boat", "gull"])
    weights = np.array([1.0, 2.0, 3.0], "float32")
    run(model, train, signal=lambda y, y_pred: weights * (y - y_pred) ** 2)
    raw = np.concatenate([predicted(model, ONE_EACH)[name] for name in ("sea", "boat", "gull")], 1)
    spy = train.strategy
    np.testing.assert_allclose(
        np.stack(spy.losses), (weights * (TAGS - raw) ** 2)[spy.ids], rtol=1e-4, atol=1e-6
    )


def test_the_order_is_checked():
    def swapped(x, y):
        return x, {**y, "boat": tf.reverse(y["boat"], [0])}

    names = ["sea", "boat", "gull"]
    with pytest.raises(RuntimeError, match="rows with other labels than planned"):
        run(model_of(ONE_EACH), dataset(HEADS, names).map(swapped))


def test_a_model_without_one_of_the_outputs():
    def without(x, y):
        return x, {name: part for name, part in y.items() if name != "boat"}

    heads = {name: head for name, head in ONE_EACH.items() if name != "boat"}
    with pytest.raises(ValueError, match=r"3 outputs.*Received: output=None, labels='boat'"):
        run(model_of(heads), dataset(HEADS, ["sea", "boat", "gull"]).map(without))


def test_labels_that_are_not_in_the_step():
    def renamed(x, y):
        return x, {"main": y["tags"], "price": y["price"]}

    model = model_of({"main": TWO["tags"], "price": TWO["price"]})
    train = dataset({"tags": TAGS, "price": PRICE}, "tags").map(renamed)
    with pytest.raises(ValueError, match=r"labels='tags'.*one of \['main', 'price'\]"):
        run(model, train)
    run(model, train, output="main")
    check_recorded(train.strategy, predicted(model, ["main", "price"])["main"])


def test_losses_that_are_adapted():
    odds = tfml.label_statistics(TAGS).odds
    masking = tfml.losses.PartialLabelMasking(odds=odds)
    falling = tfml.losses.PositiveWeights(odds=odds, exponent=tfml.schedules.Ramp(0.25, 0.0))
    y = {"tags": TAGS, "price": PRICE}
    for loss, structure, key in (
        (masking, dict, "plm/masked_positives"),
        (falling, list, "positive_weights/exponent"),
    ):
        model = model_of({"tags": (Q, "sigmoid", loss), "price": TWO["price"]}, structure)
        assert key in run(model, dataset(y, "tags", "uniform")).history
        unnamed = dataset(TAGS, None, "uniform").map(
            lambda x, y: (x, {"tags": y, "price": x[:, :1]})
        )
        with pytest.raises(ValueError, match=r"2 outputs.*output="):
            run(model, unnamed)


def test_losses_that_are_adapted_are_for_one_output():
    odds = tfml.label_statistics(TAGS[:, :2]).odds
    heads = {
        "a": (2, "sigmoid", tfml.losses.PartialLabelMasking(odds=odds)),
        "b": (1, "sigmoid", BINARY),
    }
    y = {"a": TAGS[:, :2], "b": TAGS[:, 2]}
    with pytest.raises(ValueError, match=r"one output, of all the labels.*fixed exponent"):
        run(model_of(heads), dataset(y, ["a", "b"]))
    heads["a"] = (2, "sigmoid", tfml.losses.PositiveWeights(odds=odds))
    run(model_of(heads), dataset(y, ["a", "b"]))
    heads["a"] = (2, "sigmoid", tfml.losses.ThinnedLikelihood())
    train = dataset(y, ["a", "b"], tfml.strategies.RareEvents([0, 1]))
    with pytest.raises(ValueError, match=r"one output, of all the labels"):
        run(model_of(heads), train)


def test_a_softmax_over_one_label():
    train = dataset(HEADS, ["sea", "boat"])
    with pytest.raises(ValueError, match=r"always 1\. Received: from_logits='softmax'.*\['sea'"):
        tfml.AdaptiveBatchSelection(train, from_logits="softmax")


@pytest.mark.parametrize("structure", [dict, list])
@pytest.mark.parametrize("strategy", ["uniform", "label_balanced", "rare_events"])
@pytest.mark.filterwarnings("ignore:RareEvents leaves most empty")
def test_no_output_is_asked_for_where_nothing_is_recorded(structure, strategy, tmp_path):
    def add(x, y):
        return x, ({"tags": y, "price": x[:, :1]} if structure is dict else (y, x[:, :1]))

    if strategy == "rare_events":
        strategy = tfml.strategies.RareEvents(empty_share=0.2)
    train = tfml.adaptive_dataset((X, TAGS), strategy, 4, seed=1).map(add)
    model = model_of(TWO, structure, rate=0.1)
    history = run(model, train, backup_dir=tmp_path).history
    assert len(history["selection/unique_samples"]) == 3
    assert "selection/variance_ratio" not in history
    again = tfml.AdaptiveBatchSelection(train, backup_dir=tmp_path)
    assert again.restore(model) == 3
    with pytest.raises(ValueError, match="2 outputs"):
        run(model, tfml.adaptive_dataset((X, TAGS), "online_batch", 4).map(add))
    with pytest.raises(ValueError, match="2 outputs"):  # which is named, and is none
        run(model, train, output="tag")


@pytest.mark.filterwarnings("ignore:Gradients do not exist")
@pytest.mark.parametrize("layers_are_called", [("tags", "price"), ("one", "other")])
def test_an_output_that_is_not_trained(layers_are_called):
    inputs = tf.keras.Input((4,))
    start = tf.keras.initializers.RandomUniform(-1, 1, seed=0)
    tags, price = (
        tf.keras.layers.Dense(width, activation, kernel_initializer=start, name=name)(inputs)
        for width, activation, name in zip(
            (Q, 1), ("sigmoid", None), layers_are_called, strict=True
        )
    )
    model = tf.keras.Model(inputs, {"tags": tags, "price": price})
    model.compile(tf.keras.optimizers.SGD(0.0), {"price": LOGITS})
    train = dataset({"tags": TAGS, "price": PRICE}, "tags")
    run(model, train, epochs=1)
    check_recorded(train.strategy, predicted(model, TWO)["tags"], epochs=1)  # and no logits


def test_class_weight_is_refused_by_keras():
    train = dataset({"tags": TAGS, "price": PRICE}, "tags", "uniform")
    with pytest.raises(ValueError, match="single output"):
        run(model_of(TWO), train, fit={"class_weight": {0: 1.0, 1: 2.0, 2: 1.0}})


def test_progress_and_summaries_of_a_named_output(tmp_path):
    pytest.importorskip("tensorboard")
    train = dataset({"tags": TAGS, "price": PRICE}, "tags", "uniform")
    progress = tfml.callbacks.TrainingProgress(train.label_statistics().counts, output="tags")
    selection = tfml.AdaptiveBatchSelection(train, log_dir=tmp_path)
    callbacks = [progress, selection]
    history = model_of(TWO).fit(train, verbose=0, callbacks=callbacks).history
    assert history["progress/recall"][0].shape == (Q,)
