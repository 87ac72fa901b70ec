"""Files that were written by an earlier version load, and mean the same."""

import json
import shutil

import numpy as np
import pytest
import tensorflow as tf

from tests.compatibility import make_files
from tests.compatibility.make_files import FILES, X, Y

EXPECTED = json.loads((FILES / "expected.json").read_text())


@pytest.mark.parametrize("name", list(make_files.losses()))
def test_a_model_compiled_with_a_loss(name):
    model = tf.keras.models.load_model(FILES / f"{name}.keras")
    assert type(model.loss) is type(make_files.losses()[name])
    assert model.loss.get_config() == with_what_came_later(EXPECTED[f"{name} config"])
    assert model.evaluate(X, Y, verbose=0) == pytest.approx(EXPECTED[name], rel=1e-5)


def with_what_came_later(config):
    """The config of a loss, also inside another, with the arguments that it has had since."""
    inner = config.get("loss")
    if isinstance(inner, dict):
        config = {**config, "loss": {**inner, "config": with_what_came_later(inner["config"])}}
    return {**config, "missing": None}


def test_a_model_with_the_layer():
    model = tf.keras.models.load_model(FILES / "feature_weakening.keras")
    layer = model.layers[-2]
    assert (layer.strength, layer.mode, layer.class_counts) == (0.3, "relative", [12.0, 8.0, 4.0])
    np.testing.assert_allclose(
        model.predict(X, verbose=0), EXPECTED["feature_weakening"], rtol=1e-5
    )


def test_a_saved_model():
    loaded = tf.saved_model.load(str(FILES / "saved_model"))
    served = loaded.serve(tf.constant(X))
    np.testing.assert_allclose(served, EXPECTED["feature_weakening"], rtol=1e-5)


def test_a_backup(tmp_path):
    shutil.copytree(FILES / "backup", tmp_path / "backup")
    train, selection = make_files.run(tmp_path / "backup")
    model = make_files.model_with(make_files.losses()["partial_label_masking"])
    assert selection.restore(model) == 3
    np.testing.assert_array_equal(train.probabilities, EXPECTED["probabilities"])
    for weight, expected in zip(model.get_weights(), EXPECTED["weights"], strict=True):
        np.testing.assert_array_equal(weight, np.array(expected, weight.dtype))
    model.fit(train, initial_epoch=3, epochs=5, verbose=0, callbacks=[selection])
    assert train.epoch == 5


def test_a_backup_has_the_same_names_of_arrays_and_facts(tmp_path):
    """A renamed attribute must not make the backups that users have unreadable."""
    train, selection = make_files.run(tmp_path)
    model = make_files.model_with(make_files.losses()["partial_label_masking"])
    model.fit(train, epochs=3, verbose=0, callbacks=[selection])
    kept, made = (
        json.loads((place / "epoch-00000003" / "manifest.json").read_text())
        for place in (FILES / "backup", tmp_path)
    )
    assert made.keys() == kept.keys() | {"sha256"}
    later = {"samples_per_epoch", "draws", "importance_weights", "layers", "optimizer"}
    later |= {"features", "features_made_by", "neighbors", "sample_weight", "window", "stream"}
    later |= {"vocabularies", "left_out", "label_parts"}
    later |= {"scores", "every", "signal", "output", "from_logits"}
    assert made["facts"].keys() == kept["facts"].keys() | later
    assert made["facts"]["in_force"].keys() == kept["facts"]["in_force"].keys()
    shapes = [{name: each["dtype"] for name, each in of["arrays"].items()} for of in (made, kept)]
    assert shapes[0] == shapes[1] | {"owed": "float64"}
