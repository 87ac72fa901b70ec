"""Writes the files that later versions must be able to load; run once for each version.

    python tests/compatibility/make_files.py   # into keras3/, keras2/ (tf_keras) or keras2_15/

A `.keras` file of a model compiled with each of the package's losses, one with its layer, the
layer's model as a SavedModel, and the backups of a run. Never run it to make a test pass: the files
are those of the version that users have.
"""

import json
import shutil
from pathlib import Path

import numpy as np
import tensorflow as tf

import tfmlselect as tfml

KERAS = getattr(tf.keras, "__version__", "2.15")  # Keras 2.15 does not say; tf_keras goes on
GENERATION = "keras3" if KERAS >= "3" else "keras2_15" if tf.__version__ < "2.16" else "keras2"
FILES = Path(__file__).parent / GENERATION
N, Q = 24, 3
RNG = np.random.default_rng(0)
X = RNG.normal(size=(N, 4)).astype("float32")
Y = (X[:, :Q] > [0.0, 0.5, 0.8]).astype("float32")


def losses():
    """Each loss of the package, with arguments that are not its defaults."""
    return {
        "asymmetric": tfml.losses.AsymmetricLoss(gamma_negative=3.0, margin=0.1),
        "partial_label_masking": tfml.losses.PartialLabelMasking(
            tfml.losses.AsymmetricLoss(), odds=[1.0, 0.5, 0.25], mask="expected", initial="global"
        ),
    }


def model_with(loss, layer=None):
    """A small model, with `layer` before its head."""
    start = [tf.keras.initializers.RandomUniform(-1, 1, seed=seed) for seed in (1, 2)]
    layers = [tf.keras.layers.Dense(4, "relu", kernel_initializer=start[0])]
    layers += [layer] if layer is not None else []
    layers += [tf.keras.layers.Dense(Q, "sigmoid", kernel_initializer=start[1])]
    model = tf.keras.Sequential([tf.keras.Input((4,)), *layers])
    model.compile(tf.keras.optimizers.Adam(0.01), loss)
    return model


def trained(model):
    """The model after one epoch, so that its optimizer has something to save."""
    model.fit(X, Y, verbose=0, callbacks=[tfml.callbacks.LabelsForLayers()])
    return model


def run(directory):
    """A dataset and its callback, as `main` trained with them."""
    strategy = tfml.strategies.D2ACE(neighbors=2, warmup=1, epochs=6)
    train = tfml.adaptive_dataset((X, Y), strategy, batch_size=8, seed=0)
    return train, tfml.AdaptiveBatchSelection(train, backup_dir=str(directory))


def main():
    shutil.rmtree(FILES, ignore_errors=True)
    FILES.mkdir()
    expected = {}
    for name, loss in losses().items():
        model = trained(model_with(loss))
        model.save(FILES / f"{name}.keras")
        expected[name] = model.evaluate(X, Y, verbose=0)
        expected[f"{name} config"] = model.loss.get_config()
    layer = tfml.layers.FeatureWeakening(class_counts=[12, 8, 4], strength=0.3, mode="relative")
    model = trained(model_with("binary_crossentropy", layer))
    model.save(FILES / "feature_weakening.keras")
    model.export(str(FILES / "saved_model"))
    expected["feature_weakening"] = model.predict(X, verbose=0).tolist()
    train, selection = run(FILES / "backup")
    model = model_with(losses()["partial_label_masking"])
    model.fit(train, epochs=3, verbose=0, callbacks=[selection])
    expected["probabilities"] = train.probabilities.tolist()
    expected["weights"] = [weight.tolist() for weight in model.get_weights()]
    (FILES / "expected.json").write_text(json.dumps(expected))


if __name__ == "__main__":
    main()
