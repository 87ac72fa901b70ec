"""`restore` refuses a backup of another run, by what differs, and takes one of the same."""

import json
import shutil

import numpy as np
import pytest
import tensorflow as tf

import tfmlselect as tfml

N, Q = 40, 3
RNG = np.random.default_rng(0)
X = RNG.normal(size=(N, 5)).astype("float32")
Y = (X[:, :Q] > [0, 0.5, 1]).astype("float32")
FEATURES = RNG.normal(size=(N, 4)).astype("float32")
NEIGHBORS = (np.arange(N)[:, None] + [1, 2, 3]) % N
WEIGHTS = np.linspace(0.5, 1.5, N)
LAST = [0] * (N - 1) + [1]  # changes the last sample alone


class Weighted(tfml.strategies.Uniform):
    """A strategy of the user's own, with arguments that are no values for JSON."""

    def __init__(self, table, function=None, holder=None):
        super().__init__()
        self.table, self.function, self.holder = table, function, holder

    def get_config(self):
        return {"table": self.table, "function": self.function, "holder": self.holder}


class Holder:
    """An object whose repr has its address."""

    def __init__(self, value=0):
        self.value = value


def table(last=0.0):
    """NumPy's repr shows nothing of its middle."""
    values = np.zeros(3000)
    values[1500] = last
    return values


def own_strategy(last=0.0, function=np.mean, value=0):
    return Weighted(table(last), function, Holder(value))


def make_model(activation="relu", optimizer="sgd", policy=None, loss="binary_crossentropy"):
    dense = tf.keras.layers.Dense
    hidden = dense(4, activation, dtype=policy)
    model = tf.keras.Sequential([tf.keras.Input((5,)), hidden, dense(Q, "sigmoid")])
    optimizers = {"sgd": tf.keras.optimizers.SGD, "adagrad": tf.keras.optimizers.Adagrad}
    # Both have one variable for each weight, of the same shapes.
    made = optimizers[optimizer]
    model.compile(made(0.1, momentum=0.9) if optimizer == "sgd" else made(0.1), loss)
    return model


def arrays(strategy="label_balanced", **options):
    """A run on arrays."""
    given = {"features": FEATURES, "neighbors": None, "sample_weight": WEIGHTS, **options}
    strategy = strategy() if callable(strategy) else strategy
    return tfml.adaptive_dataset((X, Y), strategy, batch_size=8, seed=0, **given)


def neighbours(neighbors=NEIGHBORS):
    """A run with neighbours that were given."""
    strategy = tfml.strategies.D2ACE(neighbors=2, warmup=0)
    return tfml.adaptive_dataset((X, Y), strategy, batch_size=8, seed=0, neighbors=neighbors)


def own(**arguments):
    """A run with a strategy of the user's own."""
    strategy = own_strategy(**arguments)
    return tfml.adaptive_dataset((X, Y), strategy, batch_size=8, seed=0)


def stream(x=X, window=32, prepare=None, x_changes=False):
    """A run on a stream."""
    source = tf.data.Dataset.from_tensor_slices((x, Y))
    source = source.map(prepare) if prepare else source
    options = {"batch_size": 8, "window": window, "seed": 0, "x_changes": x_changes}
    return source.apply(tfml.adaptive("label_balanced", **options))


def noisy(x, y):
    return x + tf.random.normal([5]), y


RUNS = {"arrays": arrays, "neighbours": neighbours, "own": own, "stream": stream}


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """A directory with the backup of each run."""
    root = tmp_path_factory.mktemp("kept")
    for name, make in RUNS.items():
        train = make()
        selection = tfml.AdaptiveBatchSelection(train, backup_dir=root / name)
        make_model().fit(train, epochs=1, verbose=0, callbacks=[selection])
    return root


def restore(directory, train, model=None, **options):
    selection = tfml.AdaptiveBatchSelection(train, backup_dir=directory, **options)
    return selection.restore(model or make_model())


@pytest.mark.parametrize("name", RUNS)
def test_the_same_run_is_not_another(kept, name):
    assert restore(kept / name, RUNS[name]()) == 1


@pytest.mark.parametrize(
    ("name", "changed", "named"),
    [
        ("arrays", {"features": FEATURES + np.array(LAST)[:, None]}, "other features"),
        ("arrays", {"features": None}, "other features"),
        ("arrays", {"sample_weight": WEIGHTS + LAST}, "other sample_weight"),
        ("arrays", {"sample_weight": None}, "other sample_weight"),
        ("neighbours", {"neighbors": NEIGHBORS[:, ::-1]}, "other neighbors"),
        ("stream", {"window": 33}, "window=32 -> 33"),
        ("stream", {"x": X + 1}, "other stream"),
        ("stream", {"x": X[:, ::-1]}, "other stream"),
        ("stream", {"x": X + np.array(LAST, "float32")[:, None]}, "other stream"),
        ("own", {"last": 1.0}, "other config"),
        ("own", {"function": np.median}, "other config"),
        ("own", {"value": 1}, "other config"),
    ],
    ids=lambda value: "" if isinstance(value, dict) else value,
)
def test_of_another_dataset(kept, name, changed, named):
    with pytest.raises(ValueError, match=rf"another run. Received: {named} \(backup -> here\)"):
        restore(kept / name, RUNS[name](**changed))


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"activation": "tanh"}, "run. Received: other layers"),
        ({"policy": "mixed_float16"}, "run. Received: other layers"),
        ({"policy": "float64"}, r"model, .* Received: variables that differ: .*'float64'"),
        ({"optimizer": "adagrad"}, "run. Received: optimizer='SGD' -> 'Adagrad'"),
    ],
    ids=lambda value: "" if isinstance(value, dict) else value,
)
def test_of_another_model(kept, changed, named):
    with pytest.raises(ValueError, match=f"another {named}"):
        restore(kept / "arrays", arrays(), make_model(**changed))


@pytest.mark.parametrize(
    ("option", "named"),
    [
        ({"every": 2}, "every=1 -> 2"),
        ({"scores": "predict"}, "scores='record' -> 'predict'"),
        ({"from_logits": True}, "from_logits='auto' -> True"),
        ({"signal": tf.keras.backend.binary_crossentropy}, "other signal"),
    ],
    ids=lambda value: "" if isinstance(value, dict) else value,
)
def test_of_another_callback(kept, option, named):
    with pytest.raises(ValueError, match=f"another run. Received: {named}"):
        restore(kept / "arrays", arrays(), **option)


class Trainer:
    """Holds all that it trains with, and what is nobody's business."""

    def __init__(self, **held):
        self.token = "a-secret-token"
        self.started = np.random.default_rng().normal()
        self.model, self.train = make_model(), arrays()
        self.held = held

    def loss(self, y_true, y_pred):
        return tf.abs(tf.cast(y_true, y_pred.dtype) - y_pred)

    def other(self, y_true, y_pred):
        return self.loss(y_true, y_pred) + 1.0


def of_a_cell():
    """What a notebook's cell defines when it runs again: a new model and a function with it."""
    teacher, token = make_model(), "a-secret-token"

    def loss(y_true, y_pred):
        assert token
        return tf.abs(tf.cast(y_true, y_pred.dtype) - y_pred) * len(teacher.layers)

    return loss


SIGNALS = {"method": lambda: Trainer().loss, "function over a model": of_a_cell}


@pytest.mark.parametrize("make", SIGNALS.values(), ids=SIGNALS)
def test_a_signal_of_the_users_own(tmp_path, make):
    train = arrays()
    selection = tfml.AdaptiveBatchSelection(train, signal=make(), backup_dir=tmp_path)
    make_model().fit(train, epochs=1, verbose=0, callbacks=[selection])
    text = (tmp_path / "epoch-00000001" / "manifest.json").read_text()
    assert "a-secret-token" not in text
    assert len(json.dumps(json.loads(text)["facts"]["signal"])) < 100
    assert restore(tmp_path, arrays(), signal=make()) == 1
    with pytest.raises(ValueError, match=r"Received: other signal \(backup -> here\)"):
        restore(tmp_path, arrays(), signal=Trainer().other)


def doubled(x):
    return x * 2


def halved(x):
    return x / 2


def test_features_that_a_function_makes_of_a_stream(tmp_path):
    """Rounding of x changes them too."""

    def made(features, x=X):
        source = tf.data.Dataset.from_tensor_slices((x, Y))
        options = {"batch_size": 8, "window": 32, "seed": 0, "features": features}
        return source.apply(tfml.adaptive("label_balanced", **options))

    train = made(doubled)
    selection = tfml.AdaptiveBatchSelection(train, backup_dir=tmp_path)
    make_model().fit(train, epochs=1, verbose=0, callbacks=[selection])
    assert restore(tmp_path, made(doubled, np.nextafter(X, np.float32(np.inf)))) == 1
    for other in (halved, X * 2, None):
        with pytest.raises(ValueError, match="other features_made_by"):
            restore(tmp_path, made(other))


def test_what_may_differ(kept):
    model = make_model()
    model.compile(tf.keras.optimizers.SGD(0.5, momentum=0.5), tfml.losses.AsymmetricLoss())
    train = arrays(epochs=7, verbose=0)
    assert restore(kept / "arrays", train, model, check_order=False, state_device="CPU:0") == 1
    assert restore(kept / "arrays", train, model, verbose_logs=True) == 1


def test_x_of_a_stream_but_for_rounding(kept):
    """Another machine may compute it with another last bit."""
    assert restore(kept / "stream", stream(np.nextafter(X, np.float32(np.inf)))) == 1


def test_a_stream_that_gives_other_x_in_each_pass_is_known_by_its_labels(tmp_path):
    train = stream(prepare=noisy, x_changes=True)
    selection = tfml.AdaptiveBatchSelection(train, backup_dir=tmp_path)
    make_model().fit(train, epochs=1, verbose=0, callbacks=[selection])
    assert restore(tmp_path, stream(prepare=noisy, x_changes=True)) == 1


def test_backups_of_before_these_were_known_are_taken(kept, tmp_path):
    shutil.copytree(kept / "neighbours", tmp_path / "old")
    file = tmp_path / "old" / "epoch-00000001" / "manifest.json"
    manifest = json.loads(file.read_text())
    known = {"labels", "x", "n", "batch_size", "drop_remainder", "seed", "strategy", "config"}
    manifest["facts"] = {name: manifest["facts"][name] for name in known}
    manifest["format"] = 1
    del manifest["sha256"]
    file.write_text(json.dumps(manifest))
    assert restore(tmp_path / "old", neighbours(), make_model("tanh")) == 1
