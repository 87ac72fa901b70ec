"""The examples run as a newcomer runs them."""

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("river")
pytest.importorskip("matplotlib")
pytest.importorskip("mlxtend")

import tfmlselect as tfml

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
NUMBER = r"[+-]?\d+(?:\.\d+)?"


def load_example(name):
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def run_example(name, *arguments, cwd):
    """Runs a script in a process of its own; returns what it prints."""
    run = subprocess.run(
        [sys.executable, EXAMPLES / f"{name}.py", *arguments],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert run.returncode == 0, run.stderr
    assert "Warning" not in run.stderr, run.stderr
    return run.stdout


def table_rows(text, names):
    """The numbers behind each name that starts a line: {name: [float, ...]}."""
    rows = {}
    for line in text.splitlines():
        # No other name begins a line of figures: only blanks and numbers may follow.
        found = [name for name in names if re.fullmatch(rf"{re.escape(name)}( +{NUMBER})+", line)]
        rows.update({name: [*map(float, re.findall(NUMBER, line[len(name) :]))] for name in found})
    return rows


@pytest.fixture
def quickstart(monkeypatch):
    monkeypatch.syspath_prepend(EXAMPLES)
    return load_example("quickstart")


@pytest.fixture(scope="module")
def digits():
    return load_example("digits")


def test_quickstart_shows_each_method_and_draws_them(tmp_path):
    out = run_example("quickstart", "--epochs", "2", "--seeds", "1", cwd=tmp_path)
    assert re.search(r"^9 +63 +0\.32% +298\.54 +\*", out, re.MULTILINE)  # the label statistics
    names = ["uniform", "adaptive_balance", "adaptive_balance(0.5) + falling positive weights"]
    assert re.findall(r"^[ABC]: (.+)$", out, re.MULTILINE) == names
    rows = table_rows(out, [" 0.125", " 0.250"])
    last = [
        float(re.search(rf"^seed 0, {re.escape(name)}: .* ({NUMBER})$", out, re.MULTILINE)[1])
        for name in names
    ]
    assert rows[" 0.250"] == last
    assert len(set(last)) == 3  # no method trains like another
    assert f"uniform came to {last[0]:.3f} in 0.25 passes" in out
    for name, reached in zip(names, last, strict=True):
        said = re.search(rf"^{re.escape(name)}: (never|after)", out, re.MULTILINE)[1]
        if reached > last[0]:
            assert said == "after"
    picture = (tmp_path / "quickstart.png").read_bytes()
    assert picture.startswith(b"\x89PNG")
    assert 20_000 < len(picture) < 1_000_000


def test_quickstart_names_the_known_strategies_when_given_another(quickstart, tmp_path, capsys):
    picture = tmp_path / "quickstart.png"
    with pytest.raises(SystemExit):
        quickstart.main(["--strategy", "d2", "--output", str(picture)])
    shown = capsys.readouterr()
    assert re.search(r"invalid choice: '?d2'?.*\bd2ace\b", shown.err)
    assert not shown.out  # nothing was trained
    assert not picture.exists()


def test_quickstart_gives_strategies_what_they_need_from_a_model(quickstart, digits):
    (x, y), _ = digits.long_tailed_digits(n_train=60, n_test=30)
    model = quickstart.make_model(x.shape[1:], y.shape[1])
    strategy, features = quickstart.make_strategy("learnability", model, x, y)
    assert strategy.reference_losses.shape == (60,)
    assert features is None
    strategy, features = quickstart.make_strategy("hard_imbalance", model, x, y)
    assert features.shape == (60, 128)
    train = tfml.adaptive_dataset((x, y), strategy, 10, features=features)  # else it refuses images
    assert train.strategy is strategy
    _, features = quickstart.make_strategy("online_batch", None, x, y)
    assert features is None


def test_the_weights_of_the_quickstart_fall(quickstart):
    y = np.array([[1, 0], [1, 1], [1, 0], [0, 0]], "float32")
    loss = quickstart.make_loss(quickstart.WITH_WEIGHTS, y)
    assert [loss.schedule(epoch, 4) for epoch in range(4)] == [0.25, 0.1875, 0.125, 0.0625]
    assert quickstart.make_loss("uniform", y) == "binary_crossentropy"


def test_yeast_is_whole_and_scaled_by_the_training_part():
    (x_train, y_train), (x_test, y_test), label_names = load_example("yeast").load_yeast(seed=0)
    assert x_train.shape == (1691, 103)
    assert x_test.shape == (726, 103)
    assert y_train.sum() + y_test.sum() == 10241  # cardinality 4.237 of 2417 samples
    assert x_train.min() == 0
    assert x_train.max() == pytest.approx(1)
    assert len(label_names) == y_train.shape[1] == 14


@pytest.mark.full
def test_partial_label_masking_prints_every_method_and_the_claim(tmp_path):
    # At a rate that shows within four epochs: at the default, sample and expectation are alike.
    out = run_example("partial_label_masking", "--quick", "--rate", "0.5", cwd=tmp_path)
    assert re.search(r"^9 +9 +1\.41% +50\.78 +\*$", out, re.MULTILINE)  # the label statistics
    assert "rare [9 8 7], frequent [0 1 2]" in out
    masked = {"PLM, sample": "BCE", "PLM, expected": "BCE", "D2ACE + PLM": "D2ACE"}
    rows = table_rows(out, [*masked, "BCE", "focal", "asymmetric", "D2ACE"])
    assert {len(row) for row in rows.values()} == {6}
    assert all(0 <= value <= 1 for row in rows.values() for value in row)
    assert len(set(map(tuple, rows.values()))) == 7  # no method trains like another
    for method, plain in masked.items():
        claim = re.search(rf"^{re.escape(f'{method} - {plain}')} +(.+)$", out, re.MULTILINE)[1]
        shown = re.findall(rf"({NUMBER}) \((\d) of 1\)", claim)
        for (change, gains), column in zip(shown, (2, 5), strict=True):
            difference = rows[method][column] - rows[plain][column]
            assert float(change) == pytest.approx(difference, abs=0.0016)  # three roundings
            assert gains == "1" or float(change) <= 0


@pytest.mark.full
def test_feature_weakening_prints_accuracies_and_draws_progress(tmp_path):
    out = run_example("feature_weakening", "--quick", cwd=tmp_path)
    exponential, step = out.index("exponential imbalance"), out.index("step imbalance")
    methods = ["plain", "one-vs-all", "PLM", "weakened", "balanced", "weakened + balanced"]
    shown = {method: () for method in methods}
    for part, counts in (
        (out[exponential:step], [100, 65, 42, 27, 18, 11, 7, 5, 3, 2]),
        (out[step:], [100] * 5 + [2] * 5),
    ):
        rows = table_rows(part, [*methods, "training images"])
        assert rows.pop("training images") == counts
        assert list(rows) == methods
        shown = {method: (*shown[method], *row) for method, row in rows.items()}
        for *classes, everything, rare, frequent in rows.values():
            assert everything == pytest.approx(np.mean(classes), abs=0.56)  # whole per cents
            thirds = ([7, 8, 9], [0, 1, 2]) if len(set(counts)) > 2 else ([5, 6, 7], [2, 3, 4])
            expected = [np.mean(np.take(classes, third)) for third in thirds]
            assert [rare, frequent] == pytest.approx(expected, abs=0.56)
    assert len(set(shown.values())) == len(methods)  # no method trains like another
    picture = (tmp_path / "feature_weakening.png").read_bytes()
    assert picture.startswith(b"\x89PNG")
    assert 20_000 < len(picture) < 1_000_000


def test_long_tailed_digits_follow_their_recipe(digits):
    (x, y), (x_test, y_test) = digits.long_tailed_digits(n_train=400, n_test=100, factor=20, seed=1)
    assert x.shape == (400, 36, 36, 1)
    assert x_test.shape == (100, 36, 36, 1)
    assert set(np.unique(y)) == {0, 1}  # a digit is there or not, never twice
    assert np.bincount(y.sum(axis=1).astype(int)).tolist() == [0, 134, 133, 133]
    counts = y.sum(axis=0)
    falling = counts[0] * 20 ** (-np.arange(10) / 9)
    np.testing.assert_allclose(counts, falling, atol=2)
    np.testing.assert_allclose(y_test.sum(axis=0) * 4, counts, atol=8)  # the same frequencies
    again, _ = digits.long_tailed_digits(n_train=400, n_test=100, factor=20, seed=1)
    np.testing.assert_array_equal(x, again[0])
    other, _ = digits.long_tailed_digits(n_train=400, n_test=100, factor=20, seed=2)
    assert not np.array_equal(y, other[1])


def test_long_tailed_digits_are_source_digits_of_their_part(digits):
    train, test = digits.source_digits(seed=0)
    known = {digit.tobytes() for digit in np.concatenate(train)}
    assert known.isdisjoint(digit.tobytes() for digit in np.concatenate(test))
    _, (x, y) = digits.long_tailed_digits(n_train=30, n_test=30, seed=0)
    for image, labels in zip(x[..., 0], y, strict=True):
        if labels.sum() == 1:
            digit = test[int(labels.argmax())]
            shifted = [image[i : i + 28, j : j + 28] for i in range(9) for j in range(9)]
            assert any((digit == place).all(axis=(1, 2)).any() for place in shifted)
        lit = [test[k].reshape(150, -1).sum(axis=1).min() for k in np.flatnonzero(labels)]
        assert image.sum() >= max(lit)  # the lighter pixel counts: no digit hides another


def test_folds_of_digits_share_no_source(digits):
    def cut(image):
        """The lit rectangle: the same wherever a digit lies."""
        rows, columns = (np.flatnonzero(image.any(axis=axis)) for axis in (1, 0))
        return image[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].tobytes()

    folds = digits.long_tailed_folds(folds=3, n=300, seed=0)
    alone = [
        {cut(image) for image, labels in zip(x[..., 0], y, strict=True) if labels.sum() == 1}
        for x, y in folds
    ]
    sources = {
        cut(image) for part in digits.source_digits(0) for images in part for image in images
    }
    for number, (x, y) in enumerate(folds):
        assert x.shape == (300, 36, 36, 1)
        np.testing.assert_array_equal(y.sum(axis=0), folds[0][1].sum(axis=0))
        assert len(alone[number]) > 50
        assert alone[number] <= sources
        assert all(alone[number].isdisjoint(other) for other in alone[:number])


def test_imbalanced_digits_fall_to_the_factor(digits):
    (x, y), (x_test, y_test) = digits.imbalanced_digits("exponential")
    assert x.shape == (982, 28, 28, 1)
    assert np.bincount(y).tolist() == [350, 227, 147, 95, 62, 40, 26, 17, 11, 7]
    assert np.bincount(y_test).tolist() == [150] * 10
    assert x_test.shape == (1500, 28, 28, 1)
    (_, y), _ = digits.imbalanced_digits("step", factor=10, largest=40)
    assert np.bincount(y).tolist() == [40] * 5 + [4] * 5
    with pytest.raises(ValueError, match=r"Received: kind='linear'"):
        digits.imbalanced_digits("linear")


def test_cifar10_comes_from_the_directory_that_is_named(digits, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"has no cifar10_lt100\.npz\. Received: '.+'"):
        digits.long_tailed_cifar10(tmp_path)
    x, y = np.full((4, 32, 32, 3), 255, "uint8"), np.arange(4, dtype="uint8")
    np.savez(tmp_path / "cifar10_lt100.npz", x_train=x, y_train=y, x_test=x[:2], y_test=y[:2])
    (x, y), (x_test, y_test) = digits.long_tailed_cifar10(tmp_path)
    assert x.max() == 1
    assert x_test.shape == (2, 32, 32, 3)
    assert y.tolist() == [0, 1, 2, 3]
    assert y_test.tolist() == [0, 1]


@pytest.mark.full
def test_tfrecord_stream_trains_exports_and_serves(tmp_path):
    out = run_example("tfrecord_stream", "--quick", cwd=tmp_path)
    score = float(re.search(r"macro-AP on the test part: ([\d.]+)", out)[1])
    assert score > 0.6  # of labels with 4 to 40 % positives
    assert float(re.search(r"largest difference (\S+)", out)[1]) < 1e-5
    assert "ess: 1.0000" in out  # the warm-up
    assert float(re.search(r"samples seen in the last epoch: ([\d.]+)%", out)[1]) < 100
    assert list(tmp_path.iterdir()) == []


@pytest.mark.full
def test_images_from_paths_prints_minority_results_of_both(tmp_path, digits):
    out = run_example("images_from_paths", "--quick", cwd=tmp_path)
    (_, y), _ = digits.long_tailed_digits(640, 640, seed=0)
    assert "640 PNG files to train on, 640 to test on" in out
    assert "minority labels: [7, 8, 9]" in out
    rows = table_rows(out, ["uniform", "positive_hardness"])
    uniform, adaptive = rows.values()  # minority drawn, minority AP, minority recall, macro-AP
    assert uniform[0] == pytest.approx(y[:, 7:].any(axis=1).mean(), abs=5e-4)
    assert adaptive[0] > uniform[0] + 0.01
    assert min(uniform[3], adaptive[3]) > y.mean() + 0.04  # better than chance
    gains = int(uniform[1] < adaptive[1])
    if uniform[1] != adaptive[1]:  # rounded
        assert f"higher with positive_hardness in {gains} of 1 seeds" in out
    assert list(tmp_path.iterdir()) == []


@pytest.mark.full
def test_mislabelled_prints_counts_beside_chance(tmp_path):
    out = run_example("mislabelled", "--quick", cwd=tmp_path)
    assert "2417 samples, 48 of them planted (2%)" in out
    assert "by chance 1.0 of 48" in out  # 48 * 48 / 2417
    methods = ["uniform, by loss", "online_batch", "hard_imbalance", "uncertainty", "d2ace"]
    last = {}
    for method in [*methods, "positive_hardness"]:
        row = re.search(rf"^{method} +(\d.*)$", out, re.MULTILINE)[1]
        counts = re.findall(r"(\d+)\.0 \((\d+) to (\d+)\)", row)
        assert len(counts) == 2
        assert all(len(set(cell)) == 1 and 0 <= int(cell[0]) <= 48 for cell in counts)  # one seed
        last[method] = int(counts[-1][0])
    poor = ", ".join(name for name, count in last.items() if count < 2 * 48 * 48 / 2417)
    assert f"after epoch 4 less than twice chance: {poor or 'none'}" in out
    assert "PositiveHardness after 4 epochs: the most and the least drawn of 2417 samples" in out
    assert list(tmp_path.iterdir()) == []


def test_mislabelled_plants_label_sets_of_others(monkeypatch):
    monkeypatch.syspath_prepend(EXAMPLES)
    example = load_example("mislabelled")
    y = np.random.default_rng(0).integers(0, 2, (200, 3))
    for seed in range(5):
        wrong, planted = example.plant(y, 0.05, np.random.default_rng(seed))
        assert len(set(planted)) == 10
        changed = (wrong != y).any(axis=1)
        assert set(np.flatnonzero(changed)) == set(planted)
        assert sorted(map(tuple, wrong)) == sorted(map(tuple, y))  # exchanged, none made up


def test_images_from_paths_are_read_as_written_and_augmented_anew(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(EXAMPLES)
    example = load_example("images_from_paths")
    images = np.zeros((3, 36, 36, 1), "float32")
    images[[0, 1, 2], [5, 17, 30], [9, 20, 8]] = [[1.0], [0.8], [0.4]]
    paths = example.write_images(images, tmp_path / "images")
    assert (tmp_path / "images" / "00000.png").read_bytes().startswith(b"\x89PNG")
    read = [example.load(path, "y") for path in paths[[2, 0, 1]]]
    loaded, y = np.stack([image for image, _ in read]), read[0][1]
    np.testing.assert_allclose(loaded, images[[2, 0, 1]], atol=0.5 / 255)
    assert y == "y"
    shifts, factors = set(), set()
    for _ in range(9):
        moved, _ = example.augment(loaded, y)
        for before, after in zip(loaded, moved.numpy(), strict=True):
            (old,), (new,) = np.argwhere(before), np.argwhere(after)
            shifts.add(tuple((new - old).tolist()))
            factors.add(after.max() / before.max())
    assert np.abs([*shifts]).max() == 2
    assert len(shifts) > 6  # of 25, in 27 draws
    assert len(factors) == 27
    assert 0.7 <= min(factors) < max(factors) <= 1.0
