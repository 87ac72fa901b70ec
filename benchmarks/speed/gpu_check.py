"""What a GPU makes of the package: its tests there, and what an epoch costs beside a plain one.

    make gpu-check                                     # on a machine with a GPU, at most 8 minutes
    python benchmarks/speed/gpu_check.py --device cpu  # the same script, small, without one

Runs the tests that are marked `gpu`, then times epochs of three models at batch 512: a network of
dense layers, a small ConvNet, a small transformer. Variants run in turns, each in a fit of its own,
and medians are printed, as ratios to the plain epoch of the same run and as milliseconds that the
selection adds. On a GPU all of it is written into docs/gpu.json. What does not fit into the time is
left out, and said so.
"""

from __future__ import annotations

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

ROOT = pathlib.Path(__file__).resolve().parents[2]
BATCH = 512
SKIPPED = 2  # epochs of each fit: tracing, and the first update
EPOCHS = 6
ROUNDS = 2  # fits of each variant, in turns
TESTS_AT_MOST = 240  # seconds


def main() -> None:
    """Runs, writes and prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", choices=["gpu", "cpu"], default="gpu")
    parser.add_argument("--seconds", type=int, default=480, help="for all of it")
    parser.add_argument(
        "--output", type=pathlib.Path, help="docs/gpu.json, and none with --device cpu"
    )
    parser.add_argument("--only", action="append", choices=MODELS, help="one model")
    parser.add_argument("--no-tests", action="store_true", help="times alone")
    options = parser.parse_args()
    end = time.monotonic() + options.seconds
    if options.device == "cpu":
        os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
    tests = None if options.no_tests else run_tests(min(TESTS_AT_MOST, options.seconds // 2))

    import tensorflow as tf

    found = tf.config.list_physical_devices("GPU")
    if options.device == "gpu" and not found:
        sys.exit("There is no GPU here. Received: none that TensorFlow sees. Pass --device cpu.")
    name = "CPU"
    if found:
        name = tf.config.experimental.get_device_details(found[0]).get("device_name", "GPU")
    size = 1.0 if found else 0.02
    result = {
        "device": name,
        "gpus": len(found),
        "tensorflow": tf.__version__,
        "keras": getattr(
            tf.keras, "__version__", tf.keras.version() if hasattr(tf.keras, "version") else ""
        ),
        "batch_size": BATCH,
        "tests": tests,
        "epochs": epoch_times(options.only or [*MODELS], size, end),
    }
    output = options.output or (ROOT / "docs" / "gpu.json" if found else None)
    if output is not None:
        output.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(table(result))
    if tests is not None and tests["failed"]:
        sys.exit(1)


def run_tests(limit: int) -> dict[str, Any]:
    """The tests marked `gpu`, in a process of their own: how many passed, failed, were skipped."""
    report = pathlib.Path(os.environ.get("TMPDIR", "/tmp")) / f"gpu-tests-{os.getpid()}.xml"
    command = [sys.executable, "-m", "pytest", "-q", "-m", "gpu", "-p", "no:cacheprovider"]
    command += [str(ROOT / "tests" / "gpu"), f"--junit-xml={report}"]
    begun = time.monotonic()
    try:
        subprocess.run(command, cwd=ROOT, check=False, timeout=limit)
    except subprocess.TimeoutExpired:
        return {"passed": 0, "failed": ["not done in time"], "skipped": 0, "seconds": limit}
    from xml.etree import ElementTree

    cases = list(ElementTree.parse(report).getroot().iter("testcase"))
    report.unlink()
    failed = [
        c.get("name") for c in cases if c.find("failure") is not None or c.find("error") is not None
    ]
    skipped = sum(c.find("skipped") is not None for c in cases)
    return {
        "passed": len(cases) - len(failed) - skipped,
        "failed": failed,
        "skipped": skipped,
        "seconds": round(time.monotonic() - begun),
    }


def epoch_times(models: list[str], size: float, end: float) -> list[dict[str, Any]]:
    """Median seconds an epoch, of each model and variant; what there was no time for is missing.

    Args:
        models: names of `MODELS`.
        size: of the data, 1 being whole.
        end: when to stop, by `time.monotonic`.
    """
    rows = []
    for model in models:
        data, make = MODELS[model]
        x, y = data(size)
        seconds: dict[str, list[float]] = {variant: [] for variant in VARIANTS}
        for variant in [*VARIANTS] * ROUNDS:
            if time.monotonic() > end:
                print(f"no time left for {model}, {variant}", file=sys.stderr)
            else:
                seconds[variant] += time_epochs(x, y, make(y.shape[1]), VARIANTS[variant])
        medians = {name: statistics.median(each) for name, each in seconds.items() if each}
        base = medians.get("plain tf.data", float("nan"))
        rows += [
            {
                "model": model,
                "samples": len(y),
                "labels": y.shape[1],
                "variant": variant,
                "seconds": round(median, 4),
                "of_plain": round(median / base, 3),
                "adds_ms": round(1000 * (median - base), 1),
            }
            for variant, median in medians.items()
        ]
    return rows


def time_epochs(x: Any, y: Any, model: Any, strategy: Callable | None) -> list[float]:
    """Seconds of the epochs after the first ones, from start to start."""
    import numpy as np
    import tensorflow as tf

    import tfmlselect as tfml

    starts: list[float] = []
    timer = tf.keras.callbacks.LambdaCallback(
        on_epoch_begin=lambda epoch, logs: starts.append(time.perf_counter())
    )
    if strategy is None:
        slices = tf.data.Dataset.from_tensor_slices((x, y)).shuffle(len(y))
        train, callbacks = slices.batch(BATCH).prefetch(tf.data.AUTOTUNE), [timer]
    else:
        train = tfml.adaptive_dataset((x, y), strategy(), BATCH, seed=0, verbose=0)
        callbacks = [timer, tfml.AdaptiveBatchSelection(train)]
    model.fit(train, epochs=EPOCHS, verbose=0, callbacks=callbacks)
    return list(np.diff(starts)[SKIPPED:])


def dense_data(size: float) -> tuple[Any, Any]:
    """100,000 x 256, 100 labels."""
    import numpy as np

    rng = np.random.default_rng(0)
    n = max(BATCH * 4, int(100_000 * size))
    x = rng.standard_normal((n, 256), dtype=np.float32)
    y = x[:, :100] + rng.standard_normal((n, 100), dtype=np.float32) > np.linspace(1, 3, 100)
    return x, y.astype(np.uint8)


def image_data(size: float) -> tuple[Any, Any]:
    """50,000 images of 32 x 32, 20 labels."""
    import numpy as np

    rng = np.random.default_rng(0)
    n = max(BATCH * 4, int(50_000 * size))
    x = rng.integers(0, 256, (n, 32, 32, 3), dtype=np.uint8)
    return x, (rng.random((n, 20)) < np.geomspace(0.3, 0.01, 20)).astype(np.uint8)


def text_data(size: float) -> tuple[Any, Any]:
    """50,000 rows of 64 token ids, 28 labels."""
    import numpy as np

    rng = np.random.default_rng(0)
    n = max(BATCH * 4, int(50_000 * size))
    x = rng.integers(0, 8000, (n, 64), dtype=np.int32)
    return x, (rng.random((n, 28)) < np.geomspace(0.3, 0.005, 28)).astype(np.uint8)


def compiled(inputs: Any, features: Any, q: int) -> Any:
    """A model with a sigmoid for each label."""
    import tensorflow as tf

    outputs = tf.keras.layers.Dense(q, activation="sigmoid")(features)
    model = tf.keras.Model(inputs, outputs)
    model.compile("adam", "binary_crossentropy")
    return model


def dense_model(q: int) -> Any:
    """Two dense layers of 512."""
    import tensorflow as tf

    inputs = tf.keras.Input((256,))
    h = tf.keras.layers.Dense(512, activation="relu")(inputs)
    return compiled(inputs, tf.keras.layers.Dense(512, activation="relu")(h), q)


def conv_model(q: int) -> Any:
    """Three convolutions with batch normalisation."""
    import tensorflow as tf

    layers = tf.keras.layers
    inputs = tf.keras.Input((32, 32, 3))
    h = layers.Rescaling(1 / 255)(inputs)
    for width in (32, 64, 128):
        h = layers.Conv2D(width, 3, padding="same", use_bias=False)(h)
        h = layers.MaxPooling2D()(layers.ReLU()(layers.BatchNormalization()(h)))
    return compiled(inputs, layers.GlobalAveragePooling2D()(h), q)


def transformer(q: int) -> Any:
    """Two blocks of 128 with four heads."""
    import tensorflow as tf

    layers = tf.keras.layers
    inputs = tf.keras.Input((64,), dtype="int32")
    h = layers.Embedding(8000, 128)(inputs)
    for _ in range(2):
        h = layers.LayerNormalization()(h + layers.MultiHeadAttention(4, 32)(h, h))
        wide = layers.Dense(256, activation="gelu")(h)
        h = layers.LayerNormalization()(h + layers.Dense(128)(wide))
    return compiled(inputs, layers.GlobalAveragePooling1D()(h), q)


MODELS = {
    "dense": (dense_data, dense_model),
    "ConvNet": (image_data, conv_model),
    "transformer": (text_data, transformer),
}


def named(name: str, **options: Any) -> Callable:
    """Makes a new strategy."""

    def make():
        import tfmlselect as tfml

        return getattr(tfml.strategies, name)(**options)

    return make


VARIANTS: dict[str, Callable | None] = {
    "plain tf.data": None,
    "uniform": named("Uniform"),
    "adaptive_balance": named("AdaptiveBalance"),
    "d2ace, no neighbours": named("D2ACE", neighbors=0, warmup=0),
}


def table(result: dict[str, Any]) -> str:
    """The figures, for docs/benchmarks.md."""
    tests = result["tests"]
    lines = [f"{result['device']}, TensorFlow {result['tensorflow']}, Keras {result['keras']}"]
    if tests is not None:
        failed = f", failed: {', '.join(tests['failed'])}" if tests["failed"] else ""
        lines.append(f"tests: {tests['passed']} passed, {tests['skipped']} skipped{failed}")
    lines += ["", "| model | samples x labels | variant | s an epoch | / plain | adds ms |"]
    lines += ["|---|---|---|---|---|---|"]
    for row in result["epochs"]:
        lines.append(
            f"| {row['model']} | {row['samples']} x {row['labels']} | {row['variant']} "
            f"| {row['seconds']:.3f} | {row['of_plain']:.2f} | {row['adds_ms']:.0f} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
