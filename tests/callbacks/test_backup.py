"""Backups: what is kept and put back, and what is refused. Kills are in tests/processes."""

import copy
import errno
import os
import pathlib
import re
import shutil
import warnings

import numpy as np
import pytest
import tensorflow as tf

import tfmlselect as tfml
from tests.support.watching import Watch
from tfmlselect.callbacks import backup_files
from tfmlselect.distributed import workers

N, Q = 40, 3
RNG = np.random.default_rng(0)
X = RNG.normal(size=(N, 5)).astype("float32")
Y = (X[:, :Q] > [0, 0.5, 1]).astype("float32")


def make_model(units=4, loss="binary_crossentropy"):
    start = tf.keras.initializers.RandomUniform(-1, 1, seed=1)
    layers = [tf.keras.layers.Dense(n, "sigmoid", kernel_initializer=start) for n in (units, Q)]
    model = tf.keras.Sequential([tf.keras.Input((5,)), *layers])
    model.compile("adam", loss)
    return model


def make_run(directory, strategy="online_batch", x=X, y=Y, seed=0, **options):
    train = tfml.adaptive_dataset((x, y), strategy=strategy, batch_size=16, seed=seed)
    return train, tfml.AdaptiveBatchSelection(train, backup_dir=directory, **options)


def trained(directory, epochs=2, model=None, **options):
    train, selection = make_run(directory, **options)
    model = model or make_model()
    model.fit(train, epochs=epochs, verbose=0, callbacks=[selection])
    return train, model


def test_the_newest_two_are_kept(tmp_path):
    trained(tmp_path, epochs=4)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["epoch-00000003", "epoch-00000004"]


def test_no_backup_yet(tmp_path):
    _, selection = make_run(tmp_path / "nothing")
    assert selection.restore(make_model()) == 0


SHORT = {"samples_per_epoch": 24, "importance_weights": tfml.schedules.Ramp(0.0, 1.0)}


@pytest.mark.parametrize("options", [{}, SHORT], ids=["passes", "short epochs"])
@pytest.mark.parametrize("name", tfml.strategies.names())
def test_each_strategy_is_resumed(tmp_path, name, options):
    """Stopped after three of six epochs and resumed: the same plans, weights and distributions."""

    def make(directory):
        kind = type(tfml.strategies.get(name))
        data = {"batch_size": 8, "seed": 0, **options}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what Learnability is not given
            train = tfml.adaptive_dataset((X, Y), kind(epochs=6), **data)
        return train, tfml.AdaptiveBatchSelection(train, backup_dir=directory), Watch(train)

    whole = make(tmp_path / "whole")
    straight = make_model()
    straight.fit(whole[0], epochs=6, verbose=0, callbacks=list(whole[1:]))
    first = make(tmp_path / "parts")
    make_model().fit(first[0], epochs=3, verbose=0, callbacks=list(first[1:]))
    train, selection, watch = make(tmp_path / "parts")
    model = make_model()
    epoch = selection.restore(model)
    model.fit(train, initial_epoch=epoch, epochs=6, verbose=0, callbacks=[selection, watch])
    np.testing.assert_array_equal(first[2].plans + watch.plans, whole[2].plans)
    np.testing.assert_array_equal(train.probabilities, whole[0].probabilities)
    for one, other in zip(model.get_weights(), straight.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_resumed_in_one_process(tmp_path):
    def strategy():
        return tfml.strategies.OnlineBatch(epochs=5)

    straight, model = trained(tmp_path / "a", epochs=5, strategy=strategy())
    trained(tmp_path / "b", epochs=3, strategy=strategy())
    train, selection = make_run(tmp_path / "b", strategy=strategy())
    again = make_model()
    epoch = selection.restore(again)
    assert epoch == train.epoch == 3
    again.fit(train, initial_epoch=epoch, epochs=5, verbose=0, callbacks=[selection])
    np.testing.assert_array_equal(train.probabilities, straight.probabilities)
    for one, other in zip(again.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def flip_a_bit(place):
    file = place / "00001.npy"
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)


def truncate(place):
    file = place / "00001.npy"
    file.write_bytes(file.read_bytes()[:-3])


def lose_a_file(place):
    (place / "00001.npy").unlink()


def cut_manifest(place):
    file = place / "manifest.json"
    file.write_text(file.read_text()[:50])


def other_format(place):
    file = place / "manifest.json"
    file.write_text(file.read_text().replace('"format": 2', '"format": 3'))


DAMAGES = [flip_a_bit, truncate, lose_a_file, cut_manifest, other_format]


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda f: f.__name__)
def test_a_damaged_backup_is_passed_over_with_a_warning(tmp_path, damage):
    trained(tmp_path, epochs=3)
    damage(tmp_path / "epoch-00000003")
    train, selection = make_run(tmp_path)
    with pytest.warns(
        UserWarning, match=r"backup that cannot be read.* Received: epoch-00000003: .*00000002"
    ):
        assert selection.restore(make_model()) == 2
    assert train.epoch == 2


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda f: f.__name__)
def test_all_backups_damaged(tmp_path, damage):
    trained(tmp_path)
    for place in tmp_path.iterdir():
        damage(place)
    _, selection = make_run(tmp_path)
    with pytest.raises(ValueError, match=r"No backup can be read. Received: .*move what is named"):
        selection.restore(make_model())


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"y": 1 - Y}, "labels"),
        ({"x": X + 1}, "other x"),
        ({"seed": 1}, "seed"),
        ({"strategy": "learnability"}, "strategy"),
        ({"strategy": tfml.strategies.OnlineBatch(3.0)}, "config"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
@pytest.mark.filterwarnings("ignore:Learnability without")
def test_a_backup_of_another_run(tmp_path, changed, named):
    trained(tmp_path)
    _, selection = make_run(tmp_path, **changed)
    with pytest.raises(ValueError, match=rf"another run. Received: .*{named}.* Make the dataset"):
        selection.restore(make_model())


def test_a_backup_of_another_model(tmp_path):
    trained(tmp_path)
    _, selection = make_run(tmp_path)
    with pytest.raises(ValueError, match=r"another model.* Received: variables"):
        selection.restore(make_model(units=7))


def test_a_model_that_is_not_built(tmp_path):
    trained(tmp_path)
    _, selection = make_run(tmp_path)

    class Unfit(tf.keras.Model):
        def call(self, x):
            raise RuntimeError("of no use for these samples")

    model = Unfit()
    model.compile("adam", "binary_crossentropy")
    with pytest.raises(ValueError, match=r"Received: a model that is not built"):
        selection.restore(model)


def test_a_model_that_is_not_compiled(tmp_path):
    _, selection = make_run(tmp_path)
    with pytest.raises(ValueError, match=r"Received: a model that is not compiled"):
        selection.restore(tf.keras.Sequential([tf.keras.Input((5,)), tf.keras.layers.Dense(Q)]))


def test_a_fit_that_starts_elsewhere_after_restore(tmp_path):
    trained(tmp_path, epochs=2)
    train, selection = make_run(tmp_path)
    model = make_model()
    selection.restore(model)
    with pytest.raises(ValueError, match=r"Received: initial_epoch=0, and 2 completed"):
        model.fit(train, epochs=4, verbose=0, callbacks=[selection])


def test_never_a_silent_restart(tmp_path):
    trained(tmp_path, epochs=2)
    train, selection = make_run(tmp_path)
    with pytest.raises(ValueError, match=r"holds a run already.*initial_epoch=selection.restore"):
        make_model().fit(train, epochs=3, verbose=0, callbacks=[selection])


def test_a_second_model_on_the_same_dataset_and_directory(tmp_path):
    """It would start anew: the first one's backups stay, and so does what its dataset knows."""
    train, first = trained(tmp_path, epochs=2)
    kept, p = contents(tmp_path), train.probabilities
    second = tfml.AdaptiveBatchSelection(train, backup_dir=tmp_path)
    with pytest.raises(ValueError, match=r"holds a run already. Received: .*epoch 2, .* epoch 0\."):
        make_model().fit(train, epochs=3, verbose=0, callbacks=[second])
    assert contents(tmp_path) == kept
    assert train.epoch == 2
    np.testing.assert_array_equal(train.probabilities, p)
    first.fit(train, initial_epoch=2, epochs=3, verbose=0, callbacks=[second])  # is the run's own
    assert backup_files.epochs(tmp_path) == [3, 2]


def test_a_second_model_in_a_directory_of_its_own(tmp_path):
    train, _ = trained(tmp_path / "first", strategy=tfml.strategies.OnlineBatch(warmup=0))
    second = tfml.AdaptiveBatchSelection(train, backup_dir=tmp_path / "second")
    model = make_model()
    model.fit(train, epochs=1, verbose=0, callbacks=[second])
    assert backup_files.epochs(tmp_path / "second") == [1]
    again = tfml.AdaptiveBatchSelection(train, backup_dir=tmp_path / "first")
    with pytest.raises(ValueError, match=r"holds epoch 2, and a fit that starts at epoch 1\."):
        model.fit(train, initial_epoch=1, epochs=2, verbose=0, callbacks=[again])


def test_fits_after_one_another(tmp_path):
    """With the same callback, and with a new one, in one process; also after one that raised."""
    train, selection = make_run(tmp_path, strategy=tfml.strategies.OnlineBatch(warmup=0))
    model = make_model()

    def fit(epochs, *callbacks):
        run = {"initial_epoch": train.epoch, "epochs": epochs, "verbose": 0}
        model.fit(train, callbacks=[*callbacks], **run)

    def stop(*_):
        raise InterruptedError

    fit(1, selection)
    fit(2, selection)
    with pytest.raises(InterruptedError):
        fit(4, selection, tf.keras.callbacks.LambdaCallback(on_epoch_end=stop))
    fit(4, tfml.AdaptiveBatchSelection(train, backup_dir=tmp_path))
    assert backup_files.epochs(tmp_path) == [4, 3]


@pytest.mark.parametrize("at", ["replace", "fsync", "iterdir"])
def test_interrupted_after_a_backup_was_put_in_place(tmp_path, monkeypatch, at):
    """By Ctrl-C: the same callback goes on, since the backup is the run's own."""
    owner = pathlib.Path if at == "iterdir" else os
    operation = getattr(owner, at)

    def interrupted(place, *arguments):
        result = operation(place, *arguments)
        if (tmp_path / "epoch-00000002").exists():
            monkeypatch.setattr(owner, at, operation)
            raise KeyboardInterrupt
        return result

    train, selection = make_run(tmp_path)
    model = make_model()
    monkeypatch.setattr(owner, at, interrupted)
    with pytest.raises(KeyboardInterrupt):
        model.fit(train, epochs=4, verbose=0, callbacks=[selection])
    assert train.epoch == 2
    model.fit(train, initial_epoch=2, epochs=3, verbose=0, callbacks=[selection])
    assert backup_files.epochs(tmp_path) == [3, 2]


@pytest.mark.parametrize("operation", ["rmdir", "unlink"])
@pytest.mark.parametrize("required", [False, True], ids=["", "required"])
def test_where_old_backups_cannot_be_removed(tmp_path, monkeypatch, operation, required):
    """As on a network disk where somebody reads them: the new one counts, without a warning."""

    def refused(*_, **__):
        raise OSError(errno.ENOTEMPTY, os.strerror(errno.ENOTEMPTY))

    train, selection = make_run(tmp_path, backup_required=required)
    model = make_model()
    with monkeypatch.context() as patch:
        patch.setattr(os, operation, refused)
        model.fit(train, epochs=4, verbose=0, callbacks=[selection])
        model.fit(train, initial_epoch=4, epochs=5, verbose=0, callbacks=[selection])
    assert backup_files.epochs(tmp_path) == [5, 4]
    model.fit(train, initial_epoch=5, epochs=6, verbose=0, callbacks=[selection])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["epoch-00000005", "epoch-00000006"]


def test_where_another_worker_cannot_keep_its_run_all_raise(tmp_path, monkeypatch):
    monkeypatch.setattr(workers, "each_text", lambda text: [text, "False"])
    train, selection = make_run(tmp_path)
    with pytest.raises(ValueError, match=r"Another worker .* Received: an error there"):
        make_model().fit(train, epochs=1, verbose=0, callbacks=[selection])
    assert not list(tmp_path.iterdir())


def test_restore_without_a_directory():
    _, selection = make_run(None)
    with pytest.raises(ValueError, match=r"Received: backup_dir=None"):
        selection.restore(make_model())


def test_weights_that_another_callback_put_back(tmp_path):
    _, ahead = trained(tmp_path / "ahead", epochs=3)
    trained(tmp_path / "run", epochs=2)

    class PutBack(tf.keras.callbacks.Callback):
        def on_train_begin(self, logs=None):
            self.model.optimizer.iterations.assign(ahead.optimizer.iterations)

    train, selection = make_run(tmp_path / "run")
    model = make_model()
    epoch = selection.restore(model)
    with pytest.raises(RuntimeError, match=r"Received: optimizer.iterations=9, and 6 in"):
        model.fit(train, initial_epoch=epoch, epochs=4, verbose=0, callbacks=[selection, PutBack()])


def test_ratios_are_restored(tmp_path):
    def make_loss():
        odds = tfml.label_statistics(Y).odds
        return tfml.losses.PartialLabelMasking(odds=odds, rate=0.3)

    _, model = trained(tmp_path, epochs=3, model=make_model(loss=make_loss()))
    _, selection = make_run(tmp_path)
    again = make_model(loss=make_loss())
    selection.restore(again)
    for name, variable in model.loss.state.items():
        np.testing.assert_array_equal(again.loss.state[name], variable)


def test_half_precision_arrays(tmp_path):
    table = tf.cast(tf.constant([1.5, -2.25]), tf.bfloat16)
    backup_files.write(tmp_path, 1, [("table", table)], {})
    found = backup_files.read(tmp_path).arrays["table"]
    assert found.dtype == tf.bfloat16.as_numpy_dtype
    np.testing.assert_array_equal(found, table.numpy())


def test_leftovers_of_a_killed_write_go(tmp_path):
    shutil.rmtree(tmp_path)
    (tmp_path / "writing-00000007").mkdir(parents=True)  # killed before anything was in it
    backup_files.write(tmp_path, 5, [("a", np.arange(3))], {})
    (tmp_path / "epoch-00000005").rename(tmp_path / "writing-00000005")
    (tmp_path / "writing-00000005" / "manifest.json").unlink()
    backup_files.write(tmp_path, 8, [("a", np.arange(3))], {"b": 1})
    assert [path.name for path in tmp_path.iterdir()] == ["epoch-00000008"]
    assert backup_files.read(tmp_path).facts == {"b": 1, "epoch": 8}


def test_a_backup_is_there_until_another_of_its_epoch_is(tmp_path, monkeypatch):
    """Before each operation that changes a file, the old one can be read, or the new."""
    backup_files.write(tmp_path, 1, [("a", np.array(1))], {})
    found = []
    for name in ("mkdir", "rename", "replace", "unlink", "rmdir", "fsync"):
        operation = getattr(os, name)

        def watched(*arguments, operation=operation, **options):
            found.append(int(backup_files.read(tmp_path).arrays["a"]))
            return operation(*arguments, **options)

        monkeypatch.setattr(os, name, watched)
    backup_files.write(tmp_path, 1, [("a", np.array(2))], {})
    assert found == sorted(found)
    assert {*found} == {1, 2}
    assert [path.name for path in tmp_path.iterdir()] == ["epoch-00000001"]


def contents(root):
    """Every file and directory, with what files hold."""
    found = sorted(root.rglob("*"))
    return {str(each.relative_to(root)): each.is_file() and each.read_bytes() for each in found}


def write_lookalikes(root):
    """What others keep beside backups, under names like those of ours."""
    directories = ["epoch-best", "epoch-01", "epoch-1", "epoch-000000012", "Epoch-00000001"]
    directories += ["writing-x", "writing-1", "writing-00000009", "epoch-00000007", "old-epoch-1"]
    directories += ["replaced-", "replaced-00000009"]
    for name in directories:
        (root / name / "deep").mkdir(parents=True)
        (root / name / "weights.h5").write_bytes(b"dear")
        (root / name / "deep" / "00000.npy").write_bytes(b"dear")
    (root / "epoch-00000007" / "manifest.json").write_text('{"name": "another program"}')
    (root / "epoch-00000008").mkdir()  # and nothing in it
    for name in ("epoch-00000006", "epoch-01.weights.h5", "writing-00000006", "manifest.json"):
        (root / name).write_bytes(b"dear")
    elsewhere = root / "elsewhere"
    backup_files.write(elsewhere, 1, [("a", np.arange(3))], {})
    (root / "epoch-00000000").symlink_to(elsewhere / "epoch-00000001")


def test_what_is_not_ours_stays(tmp_path):
    write_lookalikes(tmp_path)
    (tmp_path / "epoch-00000000").unlink()  # a link to a backup: no run starts anew beside it
    before = contents(tmp_path)
    trained(tmp_path, epochs=5)
    after = contents(tmp_path)
    assert before.items() <= after.items()
    added = {name.split("/")[0] for name in after.keys() - before.keys()}
    assert added == {"epoch-00000004", "epoch-00000005"}
    _, selection = make_run(tmp_path)
    assert selection.restore(make_model()) == 5


def test_a_link_and_what_it_leads_to_stay(tmp_path):
    write_lookalikes(tmp_path)
    before = contents(tmp_path)
    for epoch in range(1, 5):
        backup_files.write(tmp_path, epoch, [("a", np.arange(3))], {})
    assert before.items() <= contents(tmp_path).items()
    assert backup_files.read(tmp_path).facts["epoch"] == 4


def test_files_that_others_put_into_our_backups_stay(tmp_path):
    trained(tmp_path, epochs=2)
    note = tmp_path / "epoch-00000001" / "note.txt"
    note.write_text("the good one")
    train, selection = make_run(tmp_path)
    model = make_model()
    model.fit(
        train,
        initial_epoch=selection.restore(model),
        epochs=5,
        verbose=0,
        callbacks=[selection],
    )
    assert note.read_text() == "the good one"
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["epoch-00000001", "epoch-00000004", "epoch-00000005"]


@pytest.mark.parametrize(
    "name", ["epoch-00000002", "writing-00000003", "replaced-00000003", "a file: epoch-00000003"]
)
def test_what_is_in_the_way_is_said_before_training(tmp_path, name):
    place = tmp_path / name.removeprefix("a file: ")
    if place.name == name:
        place.mkdir()
        place = place / "mine"
    place.write_text("dear")
    train, selection = make_run(tmp_path)
    steps = []
    watch = tf.keras.callbacks.LambdaCallback(on_train_batch_begin=lambda *_: steps.append(1))
    with pytest.raises(
        ValueError, match=r"cannot be written. Received: .*holds \w+-0000000\d, .*Move them away"
    ):
        make_model().fit(train, epochs=3, verbose=0, callbacks=[selection, watch])
    assert not steps
    assert place.read_text() == "dear"


def test_what_is_in_the_way_of_later_epochs_is_not(tmp_path):
    (tmp_path / "epoch-00000003").write_text("dear")
    trained(tmp_path, epochs=2)
    assert (tmp_path / "epoch-00000003").read_text() == "dear"


def test_backups_of_before_there_were_markers_are_ours(tmp_path):
    for epoch in (1, 2):
        backup_files.write(tmp_path, epoch, [("a", np.arange(3))], {})
        (tmp_path / f"epoch-{epoch:08d}" / "tfmlselect-backup.txt").unlink(missing_ok=True)
    assert backup_files.read(tmp_path).facts["epoch"] == 2
    backup_files.write(tmp_path, 3, [("a", np.arange(3))], {})
    assert backup_files.epochs(tmp_path) == [3, 2]


def full_disk(monkeypatch, when):
    """Has each write of a file fail while `when()`; says how often it did."""
    failed = []

    def fsync(handle, flush=os.fsync):
        if when():
            failed.append(handle)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        flush(handle)

    monkeypatch.setattr(os, "fsync", fsync)
    return failed


def test_a_disk_that_runs_full_and_has_room_again(tmp_path, monkeypatch):
    """The fit goes on with one warning, and what was kept before stays until there is more."""
    train, selection = make_run(tmp_path)
    failed = full_disk(monkeypatch, lambda: train.epoch in (3, 4))
    kept = []
    watch = tf.keras.callbacks.LambdaCallback(
        on_epoch_end=lambda *_: kept.append(backup_files.epochs(tmp_path))
    )
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        make_model().fit(train, epochs=5, verbose=0, callbacks=[selection, watch])
    said = [str(each.message) for each in caught if "backup could not" in str(each.message)]
    assert len(said) == 1
    assert re.match(r"A backup .*goes on. Received: .*No space left on device.*Make room", *said)
    assert len(failed) == 2
    assert kept == [[1], [2, 1], [2, 1], [2, 1], [5, 2]]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["epoch-00000002", "epoch-00000005"]


def test_a_backup_that_is_required(tmp_path, monkeypatch):
    train, selection = make_run(tmp_path, backup_required=True)
    full_disk(monkeypatch, lambda: train.epoch == 2)
    with pytest.raises(RuntimeError, match=r"could not be written. Received: .*No space left"):
        make_model().fit(train, epochs=3, verbose=0, callbacks=[selection])
    assert "backup_required=True" in repr(selection)
    assert copy.deepcopy(selection)._options == selection._options
    monkeypatch.undo()
    train, selection = make_run(tmp_path)
    assert selection.restore(make_model()) == 1


def test_a_backup_that_is_required_and_no_directory():
    with pytest.raises(ValueError, match=r"Received: backup_required=True, backup_dir=None\."):
        make_run(None, backup_required=True)


def unusable(root):
    """Paths where no directory can be."""
    file = root / "file"
    file.write_text("dear")
    (root / "link").symlink_to(root / "nowhere")
    return {
        "a file": file,
        "below a file": file / "deep" / "deeper",
        "a link to nothing": root / "link",
        "a long name": root / ("x" * 300),
        "a long path": root / "/".join(["x" * 100] * 50),
        "no path": "a\0b",
    }


PROBLEMS = ["a file", "below a file", "a link to nothing", "a long name", "a long path", "no path"]


@pytest.mark.parametrize("argument", ["backup_dir", "log_dir"])
@pytest.mark.parametrize("kind", PROBLEMS)
def test_where_no_directory_can_be(tmp_path, kind, argument):
    """Said when the callback is made."""
    if argument == "log_dir":
        pytest.importorskip("tensorboard")
    path = unusable(tmp_path)[kind]
    train, _ = make_run(None)
    with pytest.raises(ValueError, match=rf"`{argument}` must be a directory .*Received: .*Name"):
        tfml.AdaptiveBatchSelection(train, **{argument: path})
    assert (tmp_path / "file").read_text() == "dear"


@pytest.mark.parametrize("name", ["mkdir", "open"])
def test_a_directory_that_may_not_be_written_into(tmp_path, monkeypatch, name):
    """It can be restored from; a fit says so before it trains."""
    trained(tmp_path / "run", epochs=1, strategy=tfml.strategies.OnlineBatch(warmup=0))
    train, selection = make_run(
        tmp_path / "run", strategy=tfml.strategies.OnlineBatch(warmup=0), backup_required=True
    )
    operation = getattr(os, name)

    def refused(path, *arguments, **options):
        if str(path).startswith(str(tmp_path)):
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))
        return operation(path, *arguments, **options)

    monkeypatch.setattr(os, name, refused)
    if name == "mkdir":  # nothing there yet
        selection = tfml.AdaptiveBatchSelection(train, backup_dir=tmp_path / "new")
        epoch = 0
    else:
        epoch = selection.restore(model := make_model())
        assert epoch == 1
    model = make_model() if name == "mkdir" else model
    steps = []
    watch = tf.keras.callbacks.LambdaCallback(on_train_batch_begin=lambda *_: steps.append(1))
    with pytest.raises(ValueError, match=r"`backup_dir` must be .*Read-only file system"):
        model.fit(train, initial_epoch=epoch, epochs=2, verbose=0, callbacks=[selection, watch])
    assert not steps


def test_a_run_without_a_seed_cannot_be_kept(tmp_path):
    with pytest.raises(ValueError, match=r"The dataset has no seed.* Received: .*seed=0"):
        make_run(tmp_path, seed=None)
