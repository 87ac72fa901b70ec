"""Outputs: what a model predicts becomes rows of probabilities, and is refused where it cannot."""

import functools

import numpy as np
import pytest
import tensorflow as tf

from tfmlselect.losses import AsymmetricLoss, Masked
from tfmlselect.losses.elementwise import kind_of
from tfmlselect.recording import outputs
from tfmlselect.recording.outputs import AveragedOutputs, JoinedOutputs, OutputReader

Q = 3
LOGITS = np.array([[0.0, 2.0, -1.0], [1.0, 1.0, 3.0]], np.float32)
LOSSES = tf.keras.losses
PARTS = [("a", 1), ("b", 2)]  # of y, and their numbers of labels


def reader(single_label=False, output=None, from_logits="auto", signal=None):
    return OutputReader(Q, single_label, output, from_logits, signal)


def model_with(loss, outputs=1):
    x = tf.keras.layers.Input([2])
    dense = [tf.keras.layers.Dense(width)(x) for width in (Q, 7)[:outputs]]
    model = tf.keras.Model(x, dense if outputs > 1 else dense[0])
    model.compile("sgd", loss)
    return model


def as_tensor(shape):
    return tf.zeros(shape)


# Logits.


@pytest.mark.parametrize(
    ("loss", "single_label", "activation"),
    [
        (LOSSES.BinaryCrossentropy(from_logits=True), False, tf.nn.sigmoid),
        (LOSSES.BinaryFocalCrossentropy(from_logits=True), False, tf.nn.sigmoid),
        (LOSSES.CategoricalCrossentropy(from_logits=True), False, tf.nn.softmax),
        (LOSSES.CategoricalCrossentropy(from_logits=True), True, tf.nn.softmax),
        (LOSSES.SparseCategoricalCrossentropy(from_logits=True), True, tf.nn.softmax),
        (LOSSES.SparseCategoricalCrossentropy(from_logits=True, name="a"), True, tf.nn.softmax),
        (LOSSES.BinaryCrossentropy(from_logits=True), True, tf.nn.sigmoid),  # one against all
        (AsymmetricLoss(from_logits=True), True, tf.nn.sigmoid),
        (Masked(from_logits=True), False, tf.nn.sigmoid),
        (Masked(LOSSES.BinaryCrossentropy(from_logits=True)), False, tf.nn.sigmoid),
        (LOSSES.BinaryCrossentropy(), False, tf.identity),
        (LOSSES.SparseCategoricalCrossentropy(), True, tf.identity),
        ("binary_crossentropy", False, tf.identity),
        ("sparse_categorical_crossentropy", True, tf.identity),
        (lambda y, y_pred: tf.reduce_mean(y_pred), False, tf.identity),
        (None, False, tf.identity),
    ],
)
def test_the_compiled_loss_says_what_the_output_is(loss, single_label, activation):
    this = reader(single_label)
    this.prepare(model_with(loss))
    p = this.probabilities(tf.constant(LOGITS))
    np.testing.assert_allclose(p, activation(LOGITS), rtol=1e-6)


@pytest.mark.parametrize("single_label", [False, True])
def test_from_logits_overrules_the_loss(single_label):
    said, denied = reader(single_label, from_logits=True), reader(from_logits=False)
    said.prepare(model_with("mse"))
    denied.prepare(model_with(LOSSES.BinaryCrossentropy(from_logits=True)))
    expected = tf.nn.softmax(LOGITS) if single_label else tf.nn.sigmoid(LOGITS)
    np.testing.assert_allclose(said.probabilities(LOGITS), expected, rtol=1e-6)
    np.testing.assert_array_equal(denied.probabilities(LOGITS), LOGITS)


def make_categorical_tagger_loss():
    def loss(y, y_pred):
        return tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(y, y_pred))

    return loss


def multilabel_categorical_crossentropy(y, y_pred):
    return make_categorical_tagger_loss()(y, y_pred)


class CategoricalTagger(LOSSES.Loss):
    """A loss of the user's that is over labels, whatever it is called."""

    from_logits = True

    def call(self, y_true, y_pred):
        return multilabel_categorical_crossentropy(y_true, y_pred)


class Softer(LOSSES.CategoricalCrossentropy):
    """One that is Keras' own at heart."""


OWN = [
    multilabel_categorical_crossentropy,
    make_categorical_tagger_loss(),
    functools.partial(multilabel_categorical_crossentropy),
    CategoricalTagger(),
    CategoricalTagger(name="categorical_crossentropy"),
    "mse",
]


@pytest.mark.parametrize("loss", OWN, ids=range(len(OWN)))
def test_a_name_does_not_make_a_loss_categorical(loss):
    this = reader(from_logits=True)
    this.prepare(model_with(loss))
    np.testing.assert_allclose(this.probabilities(LOGITS), tf.nn.sigmoid(LOGITS), rtol=1e-6)
    assert not this.one_of_many
    assert kind_of(loss) is None


@pytest.mark.parametrize(
    ("loss", "kind"),
    [
        (LOSSES.CategoricalCrossentropy(name="a"), "categorical"),
        (LOSSES.CategoricalCrossentropy, "categorical"),
        (LOSSES.categorical_crossentropy, "categorical"),
        (functools.partial(LOSSES.categorical_crossentropy, from_logits=True), "categorical"),
        (LOSSES.SparseCategoricalCrossentropy(), "categorical"),
        ("sparse_categorical_crossentropy", "categorical"),
        ("CategoricalHinge", "categorical"),
        (Softer(), "categorical"),
        (LOSSES.BinaryFocalCrossentropy(), "binary"),
        (LOSSES.binary_crossentropy, "binary"),
        ("mse", None),
        ("no such loss", None),
        (None, None),
    ],
)
def test_a_loss_is_what_it_is_made_of(loss, kind):
    assert kind_of(loss) == kind


def test_a_part_of_a_keras_loss_says_that_it_is_of_logits():
    loss = functools.partial(LOSSES.categorical_crossentropy, from_logits=True)
    this = reader()
    this.prepare(model_with(loss))
    np.testing.assert_allclose(this.probabilities(LOGITS), tf.nn.softmax(LOGITS), rtol=1e-6)


@pytest.mark.parametrize("said", ["softmax", "sigmoid"])
@pytest.mark.parametrize("loss", [OWN[0], "mse", LOSSES.BinaryCrossentropy(from_logits=True)])
def test_what_makes_probabilities_can_be_said(said, loss):
    this = OutputReader(Q, False, None, said, None, lambda: True)
    this.prepare(model_with(loss))
    activation = getattr(tf.nn, said)
    np.testing.assert_allclose(this.probabilities(LOGITS), activation(LOGITS), rtol=1e-6)


def test_samples_of_one_label_each_do_not_tell_softmax_from_sigmoid():
    this = OutputReader(Q, False, None, True, None, lambda: True)
    with pytest.raises(ValueError, match=r'Received: loss=.*logits\. Pass .*from_logits="softmax"'):
        this.prepare(model_with(OWN[0]))
    this.prepare(model_with(LOSSES.CategoricalCrossentropy(from_logits=True)))  # which says it
    this = OutputReader(Q, False, None, "auto", None, lambda: True)
    this.prepare(model_with(OWN[0]))  # is taken for probabilities, which the steps will show


def test_rows_outside_0_and_1_are_counted():
    rows = [[0.0, 1.0, 0.5], [1.001, -0.001, 0.5], [np.nan, 0.5, 0.5], [-0.2, 1.2, 0.5], [0, 0, 2]]
    assert int(outputs.rows_outside(tf.constant(rows))) == 2


def test_half_precision_becomes_float32():
    p = reader().probabilities(tf.constant([[0.25, 0.5, 1.0]], tf.float16))
    assert p.dtype == tf.float32
    np.testing.assert_array_equal(p, [[0.25, 0.5, 1.0]])


@pytest.mark.parametrize("output", ["zed", 0])
@pytest.mark.parametrize("kind", [dict, list])
def test_the_loss_of_the_recorded_output_is_asked(output, kind):
    x = tf.keras.layers.Input([2])
    outputs = [tf.keras.layers.Dense(Q, name="zed")(x), tf.keras.layers.Dense(7, name="abc")(x)]
    model = tf.keras.Model(x, outputs)
    losses = {"abc": "mse", "zed": LOSSES.BinaryCrossentropy(from_logits=True)}
    model.compile("sgd", losses if kind is dict else [losses["zed"], "mse"])
    this = reader(output=output)
    this.prepare(model)
    rows = this.probabilities([LOGITS, as_tensor([2, 7])])
    np.testing.assert_allclose(rows, tf.nn.sigmoid(LOGITS), rtol=1e-6)


# Which output.


@pytest.mark.parametrize("outputs", [{"a": 7, "b": Q}, {"b": Q, "a": 7}])
@pytest.mark.parametrize("output", ["b", 1])
def test_the_recorded_output_among_several(outputs, output):
    values = {name: tf.fill([2, width], 0.5) for name, width in outputs.items()}
    if output == 1:
        values = [values["a"], values["b"]]
    this = reader(output=output)
    assert this.probabilities(values).shape == (2, Q)


def test_the_only_output_needs_no_name():
    for only in ({"a": as_tensor([2, Q])}, [as_tensor([2, Q])], as_tensor([2, Q])):
        assert reader().probabilities(only).shape == (2, Q)


@pytest.mark.parametrize("output", [None, "c", 5, -3])
@pytest.mark.parametrize("kind", [dict, list])
def test_an_output_that_is_not_there(output, kind):
    values = [("a", as_tensor([2, 7])), ("b", as_tensor([2, Q]))]
    values = dict(values) if kind is dict else [value for _, value in values]
    with pytest.raises(ValueError, match=r"has 2 outputs.*output=.*Pass"):
        reader(output=output).probabilities(values)


def test_outputs_by_the_names_of_layers_and_by_the_keys_of_a_dict():
    x = tf.keras.layers.Input([2])
    main = tf.keras.layers.Dense(Q, name="zed")(x)
    other = tf.keras.layers.Dense(7, name="abc")(x)
    by_layer, by_key = reader(output="zed"), reader(output="main")
    wrong = reader(output="other")
    by_layer.prepare(compiled(tf.keras.Model(x, [other, main])))
    assert by_layer.probabilities([as_tensor([2, 7]), as_tensor([2, Q])]).shape == (2, Q)
    model = compiled(tf.keras.Model(x, {"main": main, "other": other}))
    by_key.prepare(model)
    with pytest.raises(ValueError, match=r"each of the 3 labels.*\(None, 7\)"):
        wrong.prepare(model)


def compiled(model):
    model.compile("sgd", "mse")
    return model


@pytest.mark.parametrize("shape", [[2, 4], [2], [2, 1, Q], [2, 1]])
def test_predictions_of_another_width(shape):
    with pytest.raises(ValueError, match=r"one value for each of the 3 labels.*Received.*output="):
        reader().probabilities(as_tensor(shape))


@pytest.mark.parametrize("kind", ["functional", "sequential"])
def test_another_width_is_seen_before_training(kind):
    x, dense = tf.keras.layers.Input([2]), tf.keras.layers.Dense(4)
    functional = kind == "functional"
    model = tf.keras.Model(x, dense(x)) if functional else tf.keras.Sequential([x, dense])
    with pytest.raises(ValueError, match="one value for each of the 3 labels"):
        reader().prepare(compiled(model))


# Labels.


@pytest.mark.parametrize("y", [np.zeros([2, 4]), np.zeros([2, 3, 1]), np.array([["a"] * 3])])
def test_labels_of_another_form_name_the_way_out(y):
    with pytest.raises(ValueError, match=r"another form.*wanted \(b, 3\).*Received") as caught:
        reader().matrix(y)
    assert "check_order" not in str(caught.value)  # it compares labels that can be read


@pytest.mark.parametrize(
    ("ids", "shape", "said"),
    [(False, [None, None], "None, 3"), (False, None, "None, 3"), (True, None, "None")],
)
def test_labels_of_unknown_shape_say_how_to_give_it(ids, shape, said):
    labels = [2, 0] if ids else np.eye(3, dtype=np.float32)[:2]

    def read(tell):
        @tf.function(input_signature=[tf.TensorSpec(shape, tf.int64 if ids else tf.float32)])
        def step(y):
            y = tf.ensure_shape(y, [None] if said == "None" else [None, 3]) if tell else y
            return OutputReader(3, ids, None, "auto", None).matrix(y)

        return step(labels)

    with pytest.raises(ValueError, match=rf"not known.*tf\.ensure_shape\(y, \[{said}\]\)\."):
        read(tell=False)
    assert read(tell=True).shape == (2, 3)  # the advice


# The loss that hardness is to be.


def test_signal_is_given_labels_and_the_raw_output():
    seen = {}

    def squared(y, y_pred):
        seen.update(y=y, y_pred=y_pred)
        return (y - y_pred) ** 2

    this = reader(single_label=True, from_logits=True, signal=squared)
    this.prepare(model_with("mse"))
    values = this.losses(np.array([1, 2]), tf.constant(LOGITS, tf.float16))
    one_hot = np.eye(3, dtype=np.float32)[[1, 2]]
    np.testing.assert_array_equal(seen["y"], one_hot)
    np.testing.assert_array_equal(seen["y_pred"], LOGITS)
    np.testing.assert_allclose(values, (one_hot - LOGITS) ** 2)
    assert values.dtype == tf.float32


@pytest.mark.parametrize(
    "signal",
    [
        lambda y, p: tf.reduce_mean(p, axis=-1),
        lambda y, p: tf.reduce_mean(p),
        lambda y, p: p[:, :2],
        lambda y, p: p[:, :, None],
    ],
)
def test_a_signal_of_another_shape(signal):
    with pytest.raises(ValueError, match=r"one loss for each sample and label.*Received.*\(b, 3\)"):
        reader(signal=signal).losses(np.zeros([2, 3]), tf.constant(LOGITS))


def test_an_average_does_not_hide_what_is_no_probability():
    both = AveragedOutputs(Q, False, [0, 1], "auto", None)
    p = both.probabilities([tf.constant([[-1.0, 0.2, 0.5]]), tf.constant([[2.0, 0.4, np.nan]])])
    np.testing.assert_allclose(p, [[2.0, 0.3, np.nan]], rtol=1e-6)
    assert int(outputs.rows_outside(p)) == 1


# Parts of y.


@pytest.mark.parametrize(
    ("y", "received"),
    [
        (
            {"a": np.zeros([2, 1]), "c": np.zeros(2)},
            r"labels=\['a', 'b'\], y={'a': \(2, 1\) float64, ",
        ),
        ({"a": np.zeros([2, 3]), "b": np.zeros([2, 2])}, r"\(b, 1\)\. Received: \(2, 3\) float64"),
        ({"a": np.array(["x", "y"]), "b": np.zeros([2, 2])}, r"Received: \(2, 1\) string"),
        (np.zeros([2, 4]), r"wanted \(b, 3\) numbers\. Received: y of shape \(2, 4\)"),
    ],
)
def test_labels_of_several_parts_that_are_not_there(y, received):
    this = JoinedOutputs(Q, PARTS, "auto", None)
    with pytest.raises(ValueError, match=received):
        this.matrix(y)


def test_an_output_of_one_label_may_be_a_vector():
    this = JoinedOutputs(Q, PARTS, "auto", None)
    y_pred = {"a": tf.constant([0.1, 0.2]), "b": tf.constant([[0.3, 0.4], [0.5, 0.6]])}
    np.testing.assert_allclose(this.probabilities(y_pred), [[0.1, 0.3, 0.4], [0.2, 0.5, 0.6]])
    with pytest.raises(ValueError, match=r"each of the 2 labels.*Received: .*\(2, 3\)"):
        this.probabilities({"a": y_pred["a"], "b": tf.zeros([2, 3])})


def test_which_part_of_the_labels_has_one_each():
    asked = []

    def one_label_each(start, stop):
        asked.append((start, stop))
        return start == 1

    x = tf.keras.layers.Input([2])
    model = tf.keras.Model(x, [tf.keras.layers.Dense(width, name=n)(x) for n, width in PARTS])
    model.compile("sgd", "mse")
    this = JoinedOutputs(Q, PARTS, True, None, one_label_each)
    with pytest.raises(ValueError, match="softmax or through sigmoids"):
        this.prepare(model)
    assert asked == [(1, 3)]  # of one label nobody needs to ask
    JoinedOutputs(Q, PARTS, True, None).prepare(model)
