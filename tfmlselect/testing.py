"""The contract of a strategy as a public test suite: `check_strategy` runs every rule of it.

It says whether a strategy works in this package, and nothing of whether it helps training.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import json
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tfmlselect import strategies
from tfmlselect.recording.visits import visit_rounds
from tfmlselect.scoring.neighbors import nearest_neighbors
from tfmlselect.strategies import Strategy

__all__ = ["check_strategy"]


_N, _Q, _BATCH_SIZE = 48, 6, 13
_EPOCHS = (0, 10, 99)  # of a run of 100: the first, one where schedules often change, the last
_require: Any = np.testing.assert_  # raises AssertionError, also under python -O

Visit = tuple[np.ndarray, ...]  # ids, predictions and, where there are any, losses


def check_strategy(strategy: Strategy | str) -> None:
    """Checks a strategy against the contract that `adaptive_dataset` and the callback rely on.

    Every rule works on fresh copies, `type(strategy).from_config(strategy.get_config())`, and on
    small random data; the strategy itself is left as it is. Takes some seconds.

    Args:
        strategy: a `Strategy`, built or not, or the name of one.

    Raises:
        AssertionError: a rule is broken; the message names it and says what it asks for.
        TypeError: neither a name nor a `Strategy` object.

    Example:
        >>> import tfmlselect as tfml
        >>> class Doubled(tfml.strategies.Uniform):
        ...     def probabilities(self, epoch):
        ...         return 2.0 * super().probabilities(epoch)
        >>> check_strategy(tfml.strategies.Uniform())
        >>> check_strategy(Doubled())  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        AssertionError: Doubled breaks the rule `probabilities_are_a_distribution`. Received: ...
    """
    contract = _Contract(strategies.get(strategy))
    for rule in (getattr(contract, name) for name in _RULES):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)  # empty labels, no neighbourhood, ...
                rule()
        except Exception as error:
            found = error if isinstance(error, AssertionError) else repr(error)
            broken = f"{contract.kind.__name__} breaks the rule `{rule.__name__}`"
            wanted = " ".join(rule.__doc__.split())
            raise AssertionError(f"{broken}. Received: {found}. {wanted}") from error


def _make_data(n: int) -> tuple[np.ndarray, np.ndarray, list[Visit]]:
    """Labels (n, q) from rare to frequent; features (n, d), continuous: neighbours have no ties;
    batches of ids and predictions, 0, 1 or 3 visits a sample in two epochs, sample 0 never."""
    rng = np.random.default_rng(n)
    y = (rng.random((n, _Q)) < np.linspace(0.1, 0.6, _Q)).astype(np.uint8)
    y[range(_Q), range(_Q)] = 1  # every label has a positive
    visits: list[Visit] = []
    for _ in range(2):
        times = np.append(0, rng.choice([0, 1, 3], n - 1, p=[0.2, 0.6, 0.2]))
        for ids in (rng.permutation(np.flatnonzero(times > visit)) for visit in range(3)):
            p = 1.0 / (1.0 + np.exp(-rng.normal(0.0, 2.0, (len(ids), _Q))))
            cuts = range(_BATCH_SIZE, len(ids), _BATCH_SIZE)
            visits += zip(np.split(ids, cuts), np.split(np.float32(p), cuts), strict=True)
    return y, rng.normal(size=(n, 4)), visits


def _show(strategy: Strategy, visits: Sequence[Visit], graph: bool = False) -> None:
    """Has the strategy observe, eagerly or as the callback does it."""
    batch = [tf.TensorSpec([None], tf.int64), tf.TensorSpec([None, _Q], tf.float32)]
    observe = tf.function(strategy.observe, batch, autograph=False) if graph else strategy.observe
    for visit in visits:
        observe(*map(tf.constant, visit))


def _distributions(strategy: Strategy, epochs: tuple[int, ...] = _EPOCHS) -> list[np.ndarray]:
    """`probabilities` of these epochs, checked."""
    found = [np.asarray(strategy.probabilities(epoch)) for epoch in epochs]
    for epoch, p in zip(epochs, found, strict=True):
        ok = p.shape == (_N,) and p.dtype == np.float64 and p.min() >= 0 and abs(p.sum() - 1) < 1e-9
        what = f"{p.dtype} of shape {p.shape} from {p.min()} to {p.max()} that sum to {p.sum()}"
        _require(ok, f"probabilities({epoch}) of {_N} samples: {what}")
    return found


def _require_same(distributions: Any, expected: Any) -> None:
    """The same (m, n), but for rounding in float32."""
    # Which may move a score over the border of two steps of the quantised pressure law: by 1/n of
    # ln(max p / min p), or more of it where a strategy mixes two distributions.
    for p, wanted in zip(distributions, expected, strict=True):
        used = wanted > 0
        _require(np.array_equal(p > 0, used), "p = 0 for other samples")
        away = np.abs(np.log(p[used] / wanted[used])).max()
        allowed = np.log(wanted.max() / wanted[used].min()) * (1e-5 + 2 / _N) + 1e-9
        _require(away <= allowed, f"probabilities that differ, ln p by up to {away:.2g}")


class _Contract:
    """Each method without underscore is a rule; its docstring is what the error asks for."""

    def __init__(self, strategy: Strategy):
        self.kind, self._given = type(strategy), strategy
        self._y, self._features, self._visits = _make_data(_N)

    def _make(self) -> Strategy:
        """A new one, unbuilt."""
        return self.kind.from_config(self._given.get_config())

    def _built(self, strategy: Strategy | None = None, **changes: Any) -> Strategy:
        strategy = strategy or self._make()
        strategy.build(**{"y": self._y, "features": self._features, **changes})
        return strategy

    def _run(
        self,
        strategy: Strategy | None = None,
        visits: Sequence[Visit] | None = None,
        graph: bool = False,
        **changes: Any,
    ) -> np.ndarray:
        """Distributions (6, n): at three epochs, before any visit and after all of them."""
        strategy = self._built(strategy, **changes)
        before = _distributions(strategy)
        _show(strategy, self._visits if visits is None else visits, graph)
        return np.stack(before + _distributions(strategy))

    @functools.cached_property
    def _usual(self) -> np.ndarray:
        return self._run()

    def config_round_trips(self) -> None:
        """`from_config` must make the same of `get_config`: all arguments, as values for JSON."""
        text = json.dumps(self._make().get_config())
        named = set(inspect.signature(self.kind).parameters) - {"args", "kwargs"}
        _require(named <= set(json.loads(text)), f"get_config()={text}, and arguments {named}")
        again = json.dumps(self.kind.from_config(json.loads(text)).get_config())
        _require(again == text, f"get_config()={text}, and {again} after the round trip")

    def probabilities_are_a_distribution(self) -> None:
        """Probabilities must be (n,) float64, finite, >= 0, sum to 1 and not change when asked."""
        strategy = self._make()
        _require_same(self._run(strategy)[-len(_EPOCHS) :], _distributions(strategy))
        _distributions(strategy, (strategy.before_first_epoch,))

    def epochs_have_a_length(self) -> None:
        """`epoch_draws` must give a whole number from 1 to n, or None, the same whenever asked."""
        strategy = self._built()
        draws = strategy.epoch_draws()
        _require(draws is None or (type(draws) is int and 1 <= draws <= _N), f"{draws!r}, {_N=}")
        _show(strategy, self._visits)
        strategy.probabilities(0)
        _require(strategy.epoch_draws() == draws, f"{strategy.epoch_draws()!r} after {draws!r}")

    def figures_are_numbers(self) -> None:
        """`figures` must give finite numbers by name, the same names at every epoch."""
        strategy = self._built()
        found = [strategy.figures(epoch) for epoch in (strategy.before_first_epoch, *_EPOCHS)]
        for figures in found:
            ok = isinstance(figures, dict) and figures.keys() == found[0].keys()
            ok = ok and all(np.isfinite(float(value)) for value in figures.values())
            _require(ok, f"{figures!r}, and {found[0]!r} before the first epoch")

    def warmup_follows_the_run(self) -> None:
        """`run_epochs` must be what it is set to, unless the constructor was given `epochs`;
        `warmup` an int >= 0 that does not fall as the run grows; and runs may be of any length."""
        strategy, least = self._built(), 0
        for epochs in (1, 5, 30, 1000):
            strategy.run_epochs = epochs
            run, warmup = strategy.run_epochs, strategy.warmup
            _require(run == (strategy.epochs or epochs), f"run_epochs={run} when set to {epochs}")
            _require(type(warmup) is int and warmup >= least, f"warmup={warmup!r} of {run} epochs")
            _distributions(strategy, (epochs - 1,))
            least = warmup

    def observe_runs_in_a_graph(self) -> None:
        """`observe` must do the same eagerly and in a `tf.function` without autograph, for batches
        of any size: keep what is remembered in tf.Variables made by `build`."""
        _require_same(self._run(graph=True), self._usual)

    def visits_may_be_regrouped(self) -> None:
        """Other batches, also empty ones, must give the same if each sample's visits keep order."""
        ids, p = map(np.concatenate, zip(*self._visits, strict=True))
        rounds = [np.arange(0), *visit_rounds(ids, 20), np.arange(0)]
        visits = [(ids[rows], p[rows]) for rows in rounds]
        _require_same(self._run(visits=visits, graph=True), self._usual)

    def losses_may_be_given(self) -> None:
        """`observe` must take the per-label loss (b, q) that a callback with `signal=` passes."""
        self._run(visits=[(ids, p, (self._y[ids] - p) ** 2) for ids, p in self._visits])

    def uses_predictions_is_true(self) -> None:
        """Where `uses_predictions` is False none are kept: `observe` must change nothing."""
        if not self._make().uses_predictions:
            _require_same(self._usual[3:], self._usual[:3])

    def plans_are_epochs(self) -> None:
        """A plan must be int64 ids of samples, n or with `drop_remainder` those of whole batches,
        distinct within a batch; the same for the same arguments, another for others."""
        strategy, twin, p = self._built(), self._built(), self._usual[-1]
        for drop, size in [(False, _N), (True, _N // _BATCH_SIZE * _BATCH_SIZE)]:
            ids = strategy.plan(p, _BATCH_SIZE, 3, 11, drop)
            ok = ids.dtype == np.int64 and ids.shape == (size,) and set(ids) <= set(range(_N))
            _require(ok, f"{ids.dtype} of shape {ids.shape} from {ids.min()} to {ids.max()}, {_N=}")
            for batch in np.split(ids, range(_BATCH_SIZE, size, _BATCH_SIZE)):
                _require(len(set(batch)) == len(batch), f"a batch with repeats, {batch}")
            for seed, epoch in [(3, 11), (3, 12), (4, 11)]:
                same = np.array_equal(ids, twin.plan(p, _BATCH_SIZE, seed, epoch, drop))
                ok = same == ((seed, epoch) == (3, 11))
                _require(ok, f"{same=} of the plans of seed, epoch = 3, 11 and {seed}, {epoch}")

    def samples_may_be_permuted(self) -> None:
        """Permuting the samples must permute the probabilities and change nothing else."""
        order = np.random.default_rng(1).permutation(_N)
        visits = [(np.argsort(order)[ids], p) for ids, p in self._visits]
        permuted = self._run(y=self._y[order], features=self._features[order], visits=visits)
        _require_same(permuted, self._usual[:, order])

    def labels_may_be_permuted(self) -> None:
        """Permuting the labels must change nothing."""
        order = np.random.default_rng(1).permutation(_Q)
        visits = [(ids, p[:, order]) for ids, p in self._visits]
        _require_same(self._run(y=self._y[:, order], visits=visits), self._usual)

    def labels_may_be_empty(self) -> None:
        """Samples and labels without positives, and labels without negatives, must be safe."""
        holes, full = self._y.copy(), self._y.copy()
        holes[::7], holes[:, 1], full[:, 1] = 0, 0, 1
        for y in (holes, full):
            self._run(y=y)

    def predictions_may_be_extreme(self) -> None:
        """Predictions of exactly 0 and 1, right and wrong, and the same for all must be safe."""
        ids, right = np.arange(1, _N), np.float32(self._y[1:])
        for seen in ([right, 1 - right, right], [0 * right + 1] * 3, [0 * right + 0.5] * 3):
            self._run(visits=[(ids, p) for p in seen])

    def state_is_complete(self) -> None:
        """`state` must hold, as tf.Variables by name, all that visits change: assigned to a new
        strategy built on the same data it must give the same distribution, now and later."""
        strategy, restored = self._built(), self._built()
        restored.probabilities(0)  # what is traced here must see what is assigned below
        _show(strategy, self._visits)
        for name, variable in strategy.state.items():
            restored.state[name].assign(variable.numpy())
        for _ in range(2):
            away = np.abs(np.subtract(_distributions(restored), _distributions(strategy))).max()
            _require(away <= 1e-12, f"p away by {away:.2g} after restoring")
            _show(strategy, self._visits)
            _show(restored, self._visits)

    def build_starts_afresh(self) -> None:
        """`build` must forget all that came before, also where the training set was another one."""
        y, features, visits = _make_data(31)
        used = self._built(y=y, features=features)
        _show(used, visits)
        for _ in range(2):
            _require_same(self._run(used), self._usual)

    def parts_are_of_the_samples_asked_for(self) -> None:
        """`score_parts` must give numbers (b,) by name, and `latest_predictions` (b, q) or None, of
        any samples in the order in which they are asked for."""
        strategy = self._built()
        _show(strategy, self._visits)
        ids, everything = np.random.default_rng(2).permutation(_N)[:7], np.arange(_N)
        some, whole = ({**strategy.score_parts(rows)} for rows in (ids, everything))
        p, all_p = map(strategy.latest_predictions, (ids, everything))
        _require((p is None) == (all_p is None), f"predictions {p} and {all_p}")
        if p is not None:
            some["predictions"], whole["predictions"] = p, all_p
        _require(some.keys() == whole.keys(), f"the parts {[*some]} and {[*whole]}")
        for name, values in some.items():
            shape = (7, _Q) if name == "predictions" else (7,)
            _require(np.shape(values) == shape, f"{name} of shape {np.shape(values)}")
            away = np.nanmax(np.abs(np.asarray(values) - np.asarray(whole[name])[ids]))
            _require(away <= 1e-3, f"{name} away by up to {away:.2g} from that of all samples")

    def neighbors_may_be_given(self) -> None:
        """`build` must take features, neighbours (n, k) or both; a ValueError may ask for one."""
        if self._make().uses_neighbors:
            found = nearest_neighbors(self._features, _N - 1)
            self._run(neighbors=found)
            self._run(neighbors=found, features=None)
            with contextlib.suppress(ValueError):
                self._run(features=None)


_RULES = tuple(name for name in vars(_Contract) if not name.startswith("_"))


def __dir__() -> list[str]:
    return [*__all__]
