"""Fits, interruptions, backups, restores, second models and iterators, in any order.

A state machine of hypothesis calls the rules in random order, and compares the package with a
model of what must be true, after each of them. 2,000 steps and more, some minutes:

    pytest tests/properties/test_fits_in_any_order.py --hypothesis-profile=long

A failure begins with the promise that was broken, and ends with the steps that lead there.
"""

import contextlib
import os
import shutil
import tempfile
import threading
import warnings
import weakref
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

import tfmlselect as tfml
from tests.properties.examples import is_long
from tests.support.recorded_fits import is_clean

pytestmark = pytest.mark.filterwarnings("ignore")  # of short runs, and of what is not attached

N, Q, BATCH = 12, 3, 4
STEPS = N // BATCH
X = np.arange(N, dtype=np.float32)[:, None]  # a sample's x is its id
Y = (np.arange(N)[:, None] >> np.arange(Q) & 1).astype(np.float32)
STRATEGIES = {
    "uniform": tfml.strategies.Uniform,
    "online_batch": lambda: tfml.strategies.OnlineBatch(warmup=1),
    "adaptive_balance": tfml.strategies.AdaptiveBalance,
}
HOOKS = [
    "on_train_begin",
    "on_epoch_begin",
    "on_train_batch_begin",
    "on_train_batch_end",
    "on_epoch_end",
    "on_train_end",
]
# What a user may have in the directory of the backups: all of it looks like ours, and is not.
NOT_OURS = {
    "notes.txt": b"mine",
    "epoch-best/weights.bin": b"best",
    "epoch-01/model.bin": b"first",
    "epoch-00000001x/file": b"longer",
    "epoch-02": b"a file",
    "epoch-00000099.keras": b"a model",
    "writing-a-paper/draft.tex": b"draft",
    "writing-00000001.txt": b"list",
}


class Notes:
    """What is known of a model; no list, which Keras would track."""

    def __init__(self):
        self.ids = []  # of the samples of each training step of its last fit
        self.broken_off = False  # that fit


class Noting(tf.keras.Sequential):
    """One dense layer; notes what it is trained on."""

    def train_step(self, data):
        tf.numpy_function(self.note, [data[0]], [])
        return super().train_step(data)

    def note(self, x):
        self.notes.ids.append(x[:, 0].astype(int))


def make_model(eagerly):
    dense = tf.keras.layers.Dense(Q, "sigmoid", kernel_initializer="zeros")
    model = Noting([tf.keras.Input((1,)), tf.keras.layers.Rescaling(1 / N), dense])
    model.notes = Notes()
    options = {"run_eagerly": True} if eagerly else {"jit_compile": False}
    model.compile(tf.keras.optimizers.SGD(0.1), "binary_crossentropy", **options)
    return model


class Watch(tf.keras.callbacks.Callback):
    """Stands right after ours: notes each epoch's plan, and the weights that it ends with."""

    def __init__(self, train):
        super().__init__()
        self.train = train
        self.plans, self.ends = [], []

    def on_epoch_begin(self, epoch, logs=None):
        self.plans.append(self.train.plan.copy())

    def on_epoch_end(self, epoch, logs=None):
        self.ends.append((self.train.epoch, self.model.get_weights()))


class Does(tf.keras.callbacks.Callback):
    """Calls something whenever Keras calls a hook."""

    def __init__(self, hook, action):
        super().__init__()
        setattr(self, hook, lambda *_, **__: action())


def raises(error, countdown):
    """A function that raises when it is called for the `countdown`-th time."""
    left = [countdown]

    def count():
        left[0] -= 1
        if left[0] == 0:
            raise error("stop")

    return count


@contextlib.contextmanager
def flushed(times):
    """Inside, Ctrl-C comes when files are flushed to the disk for the `times`-th time."""
    flush, count = os.fsync, raises(KeyboardInterrupt, times)

    def interrupted(handle):
        count()
        flush(handle)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", interrupted)
        yield


class Look:
    """Iterates over the dataset in a running fit, whenever it is called."""

    def __init__(self, train):
        self.train, self.iterator = train, None

    def check(self, ids):
        plan = self.train.plan  # None before the dataset is attached
        assert plan is None or ids == plan[: len(ids)].tolist(), "iterating: a look off its plan"

    def at_a_batch(self):
        self.check(rows_of(next(iter(self.train))))

    def at_all(self):
        self.check([i for batch in self.train for i in rows_of(batch)])

    def later(self):
        """At a batch of the iterator that was made the last time."""
        if self.iterator is not None:
            batch = next(self.iterator, None)
            assert batch is not None, "iterating: somebody else reads a held iterator"
            rows_of(batch)
        self.iterator = iter(self.train)

    def from_another_thread(self):
        found = []
        thread = threading.Thread(target=lambda: found.extend(map(rows_of, self.train)))
        thread.start()
        thread.join()
        assert len(found) == STEPS, "iterating: another thread did not get an epoch"


def rows_of(batch):
    """The ids in a batch, whose labels must be theirs."""
    ids = batch[0].numpy()[:, 0].astype(int)
    np.testing.assert_array_equal(batch[1], Y[ids], "batches: labels of other samples")
    return ids.tolist()


class FitsInAnyOrder(RuleBasedStateMachine):
    """What must be true is in the attributes; rules change both it and the package's objects."""

    @initialize(
        backups=st.booleans(),
        eagerly=st.booleans(),
        strategy=st.sampled_from(sorted(STRATEGIES)),
    )
    def begin(self, backups, eagerly, strategy):
        self.directory = Path(tempfile.mkdtemp())
        for name, content in NOT_OURS.items():
            (self.directory / name).parent.mkdir(exist_ok=True)
            (self.directory / name).write_bytes(content)
        self.backups, self.strategy = backups, strategy
        self.models = [make_model(eagerly) for _ in range(2)]
        self.eagerly = eagerly
        self.kept = {}  # epoch -> weights, of the backups that must be there
        self.damaged = set()  # epochs
        self.make_dataset()

    def teardown(self):
        shutil.rmtree(getattr(self, "directory", "nowhere"), ignore_errors=True)

    def make_dataset(self):
        strategy = STRATEGIES[self.strategy]()
        self.train = tfml.adaptive_dataset((X, Y), strategy, BATCH, seed=0, epochs=50)
        directory = str(self.directory) if self.backups else None
        self.selection = tfml.AdaptiveBatchSelection(self.train, backup_dir=directory)
        self.epoch = 0  # that the dataset has completed
        self.owner = lambda: None  # the model that it was attached to last, weakly
        self.restored_steps = None  # of the optimizer; None: nothing was restored since a fit
        self.held = []  # iterators, and the ids that they gave

    # --- rules ----------------------------------------------------------------------------------

    @rule()
    def a_new_process(self):
        """Nothing is left but the directory."""
        self.models = [make_model(self.eagerly) for _ in range(2)]
        self.make_dataset()

    @rule(number=st.integers(0, 1))
    def a_new_model(self, number):
        self.models[number] = make_model(self.eagerly)

    @rule(
        number=st.integers(0, 1),
        epochs=st.integers(1, 3),
        look=st.sampled_from([None, "at_a_batch", "at_all", "later", "from_another_thread"]),
        hook=st.sampled_from(HOOKS),
        first=st.booleans(),
    )
    def fit(self, number, epochs, look, hook, first):
        """With a look at the dataset whenever a hook is called, or without."""
        model = self.models[number]
        watch = Watch(self.train)
        if self.is_refused(model, watch):
            return
        start = self.attach(model)
        looks = [] if look is None else [Does(hook, getattr(Look(self.train), look))]
        callbacks = [*looks * first, self.selection, watch, *looks * (not first)]
        self.run(model, start, epochs, callbacks)
        model.notes.broken_off = False
        self.count(watch, epochs)
        assert len(watch.plans) == epochs
        ids = np.concatenate(model.notes.ids).tolist()
        assert ids == np.concatenate(watch.plans).tolist(), "plans: others are trained"

    @rule(
        number=st.integers(0, 1),
        epochs=st.integers(1, 2),
        hook=st.sampled_from(HOOKS),
        countdown=st.integers(1, 2 * STEPS),
        first=st.booleans(),
        error=st.sampled_from([KeyboardInterrupt, RuntimeError, MemoryError]),
    )
    def interrupted_fit(self, number, epochs, hook, countdown, first, error):
        """Breaks off in some hook, of a callback before ours or after."""
        model = self.models[number]
        watch = Watch(self.train)
        if self.is_refused(model, watch):
            return
        calls = {"on_train_begin": 1, "on_train_end": 1}
        calls |= dict.fromkeys(["on_epoch_begin", "on_epoch_end"], epochs)
        countdown = 1 + (countdown - 1) % calls.get(hook, epochs * STEPS)
        breaks = Does(hook, raises(error, countdown))
        callbacks = [breaks, self.selection, watch] if first else [self.selection, watch, breaks]
        if hook == "on_train_begin" and first:
            start = self.epoch if model is self.owner() else 0
        else:
            before = self.restored_steps
            start = self.attach(model)
            if hook == "on_train_begin" or (hook == "on_epoch_begin" and countdown == 1 and first):
                self.restored_steps = before
        with pytest.raises(error, match="stop"):
            self.run(model, start, epochs, callbacks)
        model.notes.broken_off = True
        completed = {
            "on_train_begin": 0,
            "on_epoch_begin": countdown - 1,
            "on_train_batch_begin": (countdown - 1) // STEPS,
            "on_train_batch_end": (countdown - 1) // STEPS,
            "on_epoch_end": countdown - first,
            "on_train_end": epochs,
        }[hook]
        self.count(watch, completed)

    @precondition(lambda self: self.backups and self.epoch + 1 not in self.kept)
    @rule(number=st.integers(0, 1), flushes=st.integers(1, 30))
    def interrupted_while_a_backup_is_written(self, number, flushes):
        """Ctrl-C when a file is flushed to the disk: the backup is there whole, or it is not."""
        model = self.models[number]
        watch = Watch(self.train)
        if self.is_refused(model, watch):
            return
        start = self.attach(model)
        with flushed(flushes):
            try:
                self.run(model, start, 1, [self.selection, watch])
            except KeyboardInterrupt:
                model.notes.broken_off = True
            else:
                model.notes.broken_off = False
                self.count(watch, 1)
                return
        assert model.notes.ids, "backups: files are written before training"
        self.epoch += 1
        before, found = set(self.kept), self.backups_in_directory()
        kept = self.kept | {self.epoch: model.get_weights()}
        assert found <= kept.keys(), "backups: there are others than were written"
        assert found >= set(sorted(found | before)[-2:]), "backups: one of the newest two is lost"
        self.kept = {epoch: kept[epoch] for epoch in found}
        self.damaged &= found

    @rule(number=st.integers(0, 1), epochs=st.integers(1, 2))
    def plain_fit(self, number, epochs):
        """Without our callback: uniform epochs, each sample once in each."""
        model = self.models[number]
        self.run(model, 0, epochs, [])
        model.notes.broken_off = False
        assert is_clean(model), "hooks: one is left in a plain fit"
        for ids in np.split(np.concatenate(model.notes.ids), epochs):
            assert sorted(ids) == list(range(N)), "detached: a plain fit trains an old plan"

    @rule(number=st.integers(0, 1))
    def restore(self, number):
        model = self.models[number]
        if not self.backups:
            with pytest.raises(ValueError, match=r"nothing to restore from\. Received: backup_dir"):
                self.selection.restore(model)
            return
        whole = sorted(set(self.kept) - self.damaged, reverse=True)
        if self.kept and not whole:
            with pytest.raises(ValueError, match=r"No backup can be read\. Received: "):
                self.selection.restore(model)
            return
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            epoch = self.selection.restore(model)
        if not self.kept:
            assert epoch == 0, "restore: there is no backup"
            return
        assert epoch == whole[0], "restore: not the newest whole backup"
        for found, kept in zip(model.get_weights(), self.kept[epoch], strict=True):
            np.testing.assert_array_equal(found, kept, "restore: other weights than were kept")
        passed_over = any("is passed over" in str(each.message) for each in said)
        assert passed_over == (epoch != max(self.kept)), "restore: a damaged backup, and no word"
        self.epoch, self.owner = epoch, weakref.ref(model)
        self.restored_steps = steps_of(model)

    @precondition(lambda self: self.restored_steps is not None and self.owner() is not None)
    @rule()
    def fit_from_another_epoch_than_was_restored(self):
        model = self.owner()
        with pytest.raises(ValueError, match="does not start where the restored run stopped"):
            self.run(model, self.epoch + 1, 1, [self.selection])
        model.notes.broken_off = True

    @precondition(lambda self: self.kept)
    @rule(data=st.data())
    def flip_a_bit_of_the_newest_backup(self, data):
        newest = max(self.kept)
        if newest in self.damaged:
            return
        files = sorted((self.directory / f"epoch-{newest:08d}").glob("*.npy"))
        file = data.draw(st.sampled_from(files), "file")
        content = bytearray(file.read_bytes())
        content[data.draw(st.integers(0, len(content) - 1), "byte")] ^= 1 << data.draw(
            st.integers(0, 7), "bit"
        )
        file.write_bytes(content)
        self.damaged.add(newest)

    @rule()
    def hold_an_iterator(self):
        self.held.append((iter(self.train), []))

    @precondition(lambda self: self.held)
    @rule(number=st.integers(0, 5), batches=st.integers(1, STEPS + 1))
    def advance_an_iterator(self, number, batches):
        iterator, ids = self.held[number % len(self.held)]
        for _ in range(batches):
            batch = next(iterator, None)
            ids += [] if batch is None else rows_of(batch)
            assert len(set(ids)) == len(ids), "iterating: a held iterator repeats a sample"
            assert batch is not None or len(ids) == N, "iterating: a held iterator ends early"

    @precondition(lambda self: self.held)
    @rule(number=st.integers(0, 5))
    def drop_an_iterator(self, number):
        del self.held[number % len(self.held)]

    # --- what must be true ----------------------------------------------------------------------

    @invariant()
    def promises_hold(self):
        if hasattr(self, "train"):
            self.check_that_the_dataset_is_detached()
            assert self.train.epoch == self.epoch, "epochs: counted otherwise than documented"
            self.check_the_directory()
            for model in self.models:
                if not model.notes.broken_off:  # else the next fit takes it off
                    assert is_clean(model), "hooks: one is left on a model"

    def check_that_the_dataset_is_detached(self):
        """No fit runs now."""
        ids = [i for batch in self.train for i in rows_of(batch)]
        assert sorted(ids) == list(range(N)), "detached: an iteration goes through an old plan"
        assert self.train.plan is None, "detached: there is a plan, and no fit"

    def check_the_directory(self):
        """It holds the newest two backups, and all that was there before."""
        found = {
            path.relative_to(self.directory).as_posix(): path.read_bytes()
            for path in self.directory.rglob("*")
            if path.is_file()
        }
        for name, content in NOT_OURS.items():
            assert found.get(name) == content, f"not ours: {name} was touched"
        assert self.backups_in_directory() == self.kept.keys(), "backups: other ones"

    def backups_in_directory(self):
        """The epochs of those that are not about to be written."""
        files = self.directory.glob("epoch-*/manifest.json")
        return {int(file.parent.name.removeprefix("epoch-")) for file in files}

    # --- help -----------------------------------------------------------------------------------

    def is_refused(self, model, watch):
        """Whether a fit of this model must not begin; if so, this sees to it that it does not."""
        known = model is self.owner()
        if self.backups and self.kept and (self.epoch == 0 or not known):
            error, said, kind = ValueError, "holds a run already", "second model"
        elif known and self.restored_steps not in (None, steps_of(model)):
            error, said, kind = RuntimeError, "is not where the selection is", "restore"
        else:
            return False
        try:
            self.run(model, self.epoch if known else 0, 1, [self.selection, watch])
        except error as raised:
            assert said in str(raised), f"{kind}: another error than documented"  # noqa: PT017
        else:
            raise AssertionError(f"{kind}: a fit that must be refused was not")
        model.notes.broken_off = True
        assert not model.notes.ids, f"{kind}: the model was trained before the fit was refused"
        return True

    def attach(self, model):
        """What the start of a fit changes; returns the epoch that it starts with."""
        if model is not self.owner():
            self.owner, self.epoch = weakref.ref(model), 0
        self.restored_steps = None
        return self.epoch

    def count(self, watch, completed):
        """What a fit that completed so many epochs leaves behind."""
        self.epoch += completed
        ends = dict(watch.ends)
        assert len(ends) == completed
        if self.backups and completed:
            self.damaged -= ends.keys()
            self.kept |= ends
            self.kept = {epoch: self.kept[epoch] for epoch in sorted(self.kept)[-2:]}
            self.damaged &= self.kept.keys()

    def run(self, model, start, epochs, callbacks):
        model.notes.ids.clear()
        span = {"initial_epoch": start, "epochs": start + epochs}
        model.fit(self.train, verbose=0, callbacks=callbacks, **span)


def steps_of(model):
    return int(model.optimizer.iterations.numpy())


TestFitsInAnyOrder = FitsInAnyOrder.TestCase
TestFitsInAnyOrder.settings = (
    settings(max_examples=50, stateful_step_count=50)
    if is_long()
    else settings(max_examples=3, stateful_step_count=12, phases=[Phase.generate])
)
