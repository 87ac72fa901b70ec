"""The benchmark's data sets, folds and budgets."""

import numpy as np
import pytest
import tensorflow as tf
from scipy import sparse

from benchmarks.study import budgets, data, folds


@pytest.fixture
def directory(tmp_path):
    """A directory with a dense emotions.npz and a sparse medical.npz, made up."""
    rng = np.random.default_rng(0)
    y = (rng.random((90, 6)) < [0.5, 0.4, 0.3, 0.3, 0.0, 0.0]).astype("uint8")
    y[:21, 4], y[:20, 5] = 1, 1  # just enough, and one too few
    np.savez(tmp_path / "emotions.npz", X=rng.normal(size=(90, 3)), Y=y)
    x = sparse.random(90, 6000, 0.01, "csr", "float32", rng=rng)
    parts = {"X_data": x.data, "X_indices": x.indices.astype("uint16"), "X_indptr": x.indptr}
    np.savez(tmp_path / "medical.npz", **parts, X_shape=x.shape, Y=y)
    return tmp_path


def test_a_label_needs_more_than_20_positives(directory):
    task = data.load("emotions", directory)
    assert task.y.shape == (90, 5)
    assert task.y[:, 4].sum() == 21
    assert task.x.shape == (90, 3)


def test_public_arff_files_are_read_with_their_number_of_labels(directory):
    """`<name>.npz` comes first; without it the file as it was published gives the same task."""
    expected = data.load("emotions", directory)
    with np.load(directory / "emotions.npz") as z:
        rows = np.column_stack([z["X"], z["Y"]])
    names = ["a", "b", "c", *(f"label{j}" for j in range(6))]
    kinds = ["numeric"] * 3 + ["{0,1}"] * 6
    head = [f"@attribute {name} {kind}" for name, kind in zip(names, kinds, strict=True)]
    lines = [
        ",".join([*map(repr, row[:3].tolist()), *map(str, row[3:].astype(int))]) for row in rows
    ]
    (directory / "emotions.npz").unlink()
    text = "\n".join(["@relation emotions", *head, "@data", *lines])
    (directory / "emotions.arff").write_text(text + "\n", encoding="utf-8")
    task = data.load("emotions", directory)
    np.testing.assert_array_equal(task.y, expected.y)
    np.testing.assert_allclose(task.x, expected.x, rtol=1e-6)


def test_sparse_sets_stay_sparse_until_they_are_prepared(directory):
    x = data.load("medical", directory).x
    assert sparse.issparse(x)
    rows = np.arange(0, 90, 2)
    dense = data.prepare(x, rows)
    assert dense.shape == (90, 120)  # 2 % of 6,000 columns
    frequency = (x[rows].toarray() != 0).sum(axis=0)
    kept = (dense[rows] != 0).sum(axis=0)
    assert kept.min() >= np.sort(frequency)[-120]


def test_what_is_prepared_knows_the_training_rows_alone():
    x = np.array([[1.0, 5, 0], [3, 5, 2], [9, 6, -1]], "float32")
    prepared = data.prepare(x, np.array([0, 1]))
    assert prepared.tolist() == [[0, 0, 0], [1, 0, 1], [1, 1, 0]]  # clipped to what was seen
    assert prepared.dtype == "float32"
    x[2] *= 7
    assert data.prepare(x, np.array([0, 1]))[:2].tolist() == prepared[:2].tolist()


@pytest.mark.parametrize(("name", "n", "q"), [("solar-flare", 1066, 2), ("digits", 3000, 10)])
def test_sets_that_need_no_directory(name, n, q, monkeypatch):
    monkeypatch.delenv("TFMLSELECT_DATA", raising=False)
    task = data.load(name)
    assert task.x.shape[0] == n
    assert task.y.shape == (n, q)
    assert task.y.sum(axis=0).min() > 20
    assert [len(part) for part in folds.split(name, task.y, 0)] > [n // 2, 0, 0]


def test_goemotions_is_hashed(tmp_path):
    import gzip

    rows = ["good day\t1\tid", 'so "sad\t2,3\tid'] * 21
    with gzip.open(tmp_path / "goemotions_train.tsv.gz", "wt", encoding="utf-8") as file:
        file.write("\n".join(rows) + "\n")
    task = data.load("goemotions", tmp_path)
    assert task.x.shape == (42, data.HASHED)
    assert task.y[:2].tolist() == [[1, 0, 0], [0, 1, 1]]
    np.testing.assert_allclose(np.sqrt(task.x.multiply(task.x).sum(axis=1)), 1, rtol=1e-6)


def test_errors_name_the_way_out(tmp_path, monkeypatch):
    monkeypatch.delenv("TFMLSELECT_DATA", raising=False)
    with pytest.raises(ValueError, match=r"Received: 'yeats'\. Known: emotions"):
        data.load("yeats")
    with pytest.raises(FileNotFoundError, match=r"scene\.npz or scene\.arff.*None.*--data-dir"):
        data.load("scene")
    with pytest.raises(FileNotFoundError, match=r"goemotions_train"):
        data.load("goemotions", tmp_path)


def test_yeast_is_the_same_from_everywhere(monkeypatch):
    monkeypatch.delenv("TFMLSELECT_DATA", raising=False)
    task = data.load("yeast")
    assert task.x.shape == (2417, 103)
    assert task.y.sum() == 10241  # cardinality 4.237


@pytest.mark.parametrize("path", sorted(folds.DIRECTORY.glob("*.txt")), ids=lambda path: path.stem)
def test_committed_folds_are_five_of_about_equal_size(path):
    assert path.stem in data.NAMES
    ids = [int(digit) for digit in path.read_text(encoding="ascii").strip()]
    counts = np.bincount(ids)
    assert len(counts) == folds.FOLDS
    assert counts.max() < 1.1 * counts.mean()


def test_parts_of_a_fold_are_all_samples_once():
    y = data.load("yeast").y
    tests = []
    for fold in range(folds.FOLDS):
        parts = folds.split("yeast", y, fold)
        assert sorted(np.concatenate(parts)) == list(range(len(y)))
        tests.append(parts[2])
        # a fifth of each label's positives, give or take a few
        share = y.sum(axis=0, dtype=int) / folds.FOLDS
        assert abs(y[parts[2]].sum(axis=0, dtype=int) - share).max() < 8
    assert sorted(np.concatenate(tests)) == list(range(len(y)))
    np.testing.assert_array_equal(folds.split("yeast", y, 0)[1], tests[1])


def test_digits_are_in_the_folds_that_they_were_made_for():
    x, y = data.make_digits()
    parts = [folds.split("digits", y, fold)[2] for fold in range(folds.FOLDS)]
    np.testing.assert_array_equal(np.concatenate(parts), np.arange(len(x)))
    assert {len(part) for part in parts} == {len(x) // folds.FOLDS}


def test_committed_folds_are_made_by_the_function():
    ids = folds.make_folds(data.load("solar-flare").y)
    path = folds.DIRECTORY / "solar-flare.txt"
    assert "".join(map(str, ids)) == path.read_text(encoding="ascii").strip()


def test_folds_leave_the_global_generator_as_it_was():
    np.random.seed(3)  # noqa: NPY002
    before = np.random.random()  # noqa: NPY002
    np.random.seed(3)  # noqa: NPY002
    folds.make_folds(np.eye(2, dtype=int)[np.arange(40) % 2])
    assert np.random.random() == before  # noqa: NPY002


def test_folds_of_another_file_are_refused():
    with pytest.raises(ValueError, match=r"2417 samples\. Received: 3 samples"):
        folds.split("yeast", np.zeros((3, 2)), 0)
    with pytest.raises(FileNotFoundError, match=r"python -m benchmarks\.study\.folds nothing"):
        folds.split("nothing", np.zeros((3, 2)), 0)


@pytest.mark.parametrize("falls", [False, True])
def test_the_learning_rate_rises_over_a_tenth(falls):
    n, epochs = 1450, 100  # 12 steps an epoch
    optimizer = budgets.Budget("x", epochs, 2e-3, falls).optimizer(n)
    rate = tf.keras.optimizers.schedules.deserialize(optimizer.get_config()["learning_rate"])
    assert float(rate(60)) == pytest.approx(1e-3)
    assert float(rate(120)) == pytest.approx(2e-3)
    assert float(rate(660)) == pytest.approx(1e-3 if falls else 2e-3)
    assert float(rate(1200)) == pytest.approx(0 if falls else 2e-3, abs=1e-9)


def test_a_rate_that_was_not_chosen_is_an_error():
    assert budgets.get("paper", "anything", "mlp").rate == 1e-4
    with pytest.raises(ValueError, match=r"benchmarks\.study\.tune --data none --model mlp"):
        budgets.get("tuned", "none", "mlp")
