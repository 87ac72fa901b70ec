"""What newcomers tried and were led astray by: the error must name the way out, which must work."""

import ast

import numpy as np
import pytest
import tensorflow as tf

import tfmlselect as tfml

N = 60
RNG = np.random.default_rng(0)
X = RNG.normal(size=(N, 4)).astype("float32")
Y = (X[:, :3] > [0.0, 0.3, 0.6]).astype("float32")
NAMES = ["sea", "boat", "whale"]


def refused(make, kind=(TypeError, ValueError)):
    """The text of the error."""
    with pytest.raises(kind, match=r".+\. Received: .+\. [A-Z`].+") as error:
        make()
    return str(error.value)


@pytest.mark.parametrize("rows", [12, 17])
def test_batches_of_several_columns_of_numbers(rows):
    columns = {"age": X[:, 0], "fare": X[:, 1]}
    source = tf.data.Dataset.from_tensor_slices((columns, np.arange(N) % 2)).batch(rows)
    assert "look like batches" in refused(lambda: source.apply(tfml.adaptive(batch_size=2)))
    train = source.apply(tfml.adaptive(batch_size=2, batched=True))
    assert "60 samples, 2 labels" in repr(train)


def test_batches_of_several_parts_with_weights():
    parts = {"tags": Y, "price": X[:, :1]}
    source = tf.data.Dataset.from_tensor_slices((X, parts, np.ones(N, "f"))).batch(12)
    train = source.apply(tfml.adaptive(batch_size=12, batched=True, labels="tags"))
    np.testing.assert_array_equal(train.label_matrix, Y)


@pytest.mark.parametrize("x_changes", [False, True])
def test_a_stream_with_nan_in_x(x_changes):
    x = {"a": np.where(X > 1.5, np.nan, X), "text": np.array(["t"] * N)}
    first = int(np.flatnonzero((X > 1.5).any(axis=1))[0])
    source = tf.data.Dataset.from_tensor_slices((x, Y))
    adaptive = tfml.adaptive(batch_size=4, window=32, x_changes=x_changes)
    assert f"in that number {first}." in refused(lambda: source.apply(adaptive))

    def filled(x, y):
        return {**x, "a": tf.where(tf.math.is_finite(x["a"]), x["a"], 0.0)}, y

    assert "60 samples" in repr(source.map(filled).apply(adaptive))


class TestLabels:
    def test_columns_of_two_words(self):
        pandas = pytest.importorskip("pandas")
        for yes, no in (("True", "False"), ("x", ""), ("yes", "no"), ("1", "0")):
            y = pandas.DataFrame(np.where(Y > 0, yes, no), columns=NAMES)
            if yes != "1":  # text that is a number is told another way
                said = refused(lambda y=y: tfml.adaptive_dataset((X, y)))
                assert f"(y == {yes!r}).astype('uint8')" in said
            fixed = (y == yes).astype("uint8")
            np.testing.assert_array_equal(tfml.adaptive_dataset((X, fixed)).label_matrix, Y)

    def test_lists_that_were_written_as_text(self):
        y = ["['boat', 'whale']", "[]", "['sea']"] * 20
        assert "ast.literal_eval(text)" in refused(lambda: tfml.adaptive_dataset((X, y)))
        assert [ast.literal_eval(text) for text in y[:2]] == [["boat", "whale"], []]

    def test_a_column_that_is_no_label_is_named(self):
        pandas = pytest.importorskip("pandas")
        y = pandas.DataFrame(Y.astype(int), columns=NAMES)
        for column in (np.arange(N), np.linspace(0, 1, N)):
            wrong = y.assign(price=column)
            said = refused(lambda wrong=wrong: tfml.label_statistics(wrong))
            assert "in column 'price'. Where" in said
            assert "y.drop(columns='price')" in said
        assert tfml.label_statistics(wrong.drop(columns="price")).label_names == tuple(NAMES)

    @pytest.mark.parametrize("missing", [None, float("nan"), 3])
    def test_what_is_no_text_among_text(self, missing):
        texts = ["a|b", missing, "b"] * 20
        assert "Fill what is missing" in refused(lambda: tfml.adaptive_dataset((X, texts)))
        assert "fill what is missing" in refused(lambda: tfml.adaptive_dataset((texts, Y)))

    def test_one_column(self):
        said = refused(lambda: tfml.adaptive_dataset((X, Y[:, :1])))
        assert "np.ravel(y).astype('int64')" in said
        train = tfml.adaptive_dataset((X, np.ravel(Y[:, :1]).astype("int64")), "uniform", 12)
        model = tf.keras.Sequential([tf.keras.layers.Dense(2, "softmax")])
        model.compile("adam", "sparse_categorical_crossentropy")
        model.fit(train, verbose=0, callbacks=[tfml.AdaptiveBatchSelection(train)])

    def test_a_dataset_in_place_of_labels(self):
        train = tfml.adaptive_dataset((X, Y), "uniform", 12)
        for function in (tfml.label_statistics, tfml.potential):
            assert "train.label_statistics()" in refused(lambda f=function: f(train))
        assert tfml.potential(train.label_matrix).statistics.n == N


def test_columns_of_objects_that_are_numbers():
    pandas = pytest.importorskip("pandas")
    x = pandas.DataFrame(X).astype({0: object})
    said = refused(lambda: tfml.adaptive_dataset((x, Y)))
    assert "x.astype({0: 'float32'})" in said
    assert "get_dummies" not in said
    tfml.adaptive_dataset((x.astype({0: "float32"}), Y))


def test_a_target_beside_the_labels_that_is_unknown():
    y = {"tags": Y, "price": np.where(X[:, :1] > 0, np.nan, 1)}
    said = refused(lambda: tfml.adaptive_dataset((X, y), labels="tags"))
    assert "its loss leaves out" in said
    y["price"] = np.nan_to_num(y["price"], nan=-1)
    tfml.adaptive_dataset((X, y), labels="tags")


def heads(names):
    inputs = tf.keras.Input((4,))
    dense = tf.keras.layers.Dense
    outputs = {name: dense(1, "sigmoid", name=name)(inputs) for name in names}
    model = tf.keras.Model(inputs, outputs)
    model.compile("adam", dict.fromkeys(names, "binary_crossentropy"))
    return model


def test_an_output_for_each_label_and_one_matrix():
    train = tfml.adaptive_dataset((X, Y), "online_batch", 12)
    selection = tfml.AdaptiveBatchSelection(train)
    said = refused(lambda: heads(NAMES).fit(train, verbose=0, callbacks=[selection]))
    assert "adaptive_dataset((x, {'sea': y[:, 0], 'boat': y[:, 1], ...}), labels=[" in said
    parts = {name: Y[:, j] for j, name in enumerate(NAMES)}
    train = tfml.adaptive_dataset((X, parts), "online_batch", 12, labels=NAMES)
    selection = tfml.AdaptiveBatchSelection(train)
    heads(NAMES).fit(train, epochs=2, verbose=0, callbacks=[selection])
    said = refused(lambda: heads(NAMES[:2]).fit(train, verbose=0, callbacks=[selection]))
    assert "name the model's outputs as the parts of y" in said


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("weights", "`sample_weight`"),
        ("class_weight", "PositiveWeights"),
        ("pressure", "argument of strategies."),
        ("share", "tfmlselect.strategies.AdaptiveBalance(share=3)"),
        ("window", "argument of `adaptive`"),
        ("log_dir", "argument of AdaptiveBatchSelection"),
        ("shuffle", "orders the samples itself"),
        ("random_state", "`seed` here"),
        ("bacth_size", "Did you mean 'batch_size'?"),
    ],
)
def test_where_an_argument_belongs(name, said):
    assert said in refused(lambda: tfml.adaptive_dataset((X, Y), **{name: 3}))


def test_arguments_that_belong_to_the_callback_are_its_own():
    import inspect

    from tfmlselect.pipeline import adaptive

    own = inspect.signature(tfml.AdaptiveBatchSelection).parameters
    assert set(adaptive._OF_CALLBACK) == set(own) - {"dataset", "label_names"}
    of_streams = set(inspect.signature(tfml.adaptive).parameters)
    of_arrays = set(inspect.signature(tfml.adaptive_dataset).parameters)
    assert set(adaptive._OF_STREAMS) == of_streams - of_arrays


def test_a_function_of_samples_that_forgets_y():
    train = tfml.adaptive_dataset((X, Y), "uniform", 12)
    assert "must return (x, y)" in refused(lambda: train.map_samples(lambda x, y: x))


def test_a_run_is_put_back_into_a_model_that_is_not_built(tmp_path):
    def made():
        tf.keras.utils.set_random_seed(0)
        train = tfml.adaptive_dataset((X, Y), batch_size=12, seed=0)
        model = tf.keras.Sequential([tf.keras.layers.Dense(3, "sigmoid")])
        model.compile("adam", "binary_crossentropy")
        return train, model, tfml.AdaptiveBatchSelection(train, backup_dir=tmp_path / "run")

    train, model, selection = made()
    assert selection.restore(model) == 0
    model.fit(train, epochs=2, verbose=0, callbacks=[selection])
    _, again, selection = made()
    assert selection.restore(again) == 2
    for one, other in zip(again.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_the_warning_on_unknown_labels_names_the_loss_that_leaves_them_out():
    y = np.where(X[:, :3] > 1, -1, Y)
    odds = tfml.label_statistics(y, missing=-1).odds
    train = tfml.adaptive_dataset((X, y), batch_size=12, missing=-1)
    model = tf.keras.Sequential([tf.keras.layers.Dense(3, "sigmoid")])
    model.compile("adam", tfml.losses.PositiveWeights(odds=odds))
    with pytest.warns(UserWarning, match=r"PositiveWeights\(\.\.\., missing=-1\)\. Keras' own"):
        model.fit(train, verbose=0, callbacks=[tfml.AdaptiveBatchSelection(train)])
    assert repr(tfml.losses.Masked(missing=float("nan"))) == (
        "<Masked 'binary_crossentropy', missing=nan>"
    )
