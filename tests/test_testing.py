"""The contract suite must name the rule that a broken strategy breaks, and pass a sound one."""

import numpy as np
import pytest
import tensorflow as tf

from tfmlselect import sampling, testing
from tfmlselect.strategies import Strategy, Uniform
from tfmlselect.testing import check_strategy


class HighestLoss(Strategy):
    """The user's strategy of the `Strategy` docstring; the broken ones differ from it in a line."""

    def build(self, y, features=None, neighbors=None):
        self.y = tf.constant(y, tf.float32)
        self.loss = tf.Variable(tf.fill([len(y)], 0.693))

    def observe(self, ids, y_pred, loss=None):
        error = tf.reduce_mean(tf.abs(tf.gather(self.y, ids) - y_pred), axis=1)
        self.loss.scatter_update(tf.IndexedSlices(error, ids))

    def probabilities(self, epoch):
        return sampling.pressure_probabilities(self.loss, 8.0)


class SumsToTwo(HighestLoss):
    def probabilities(self, epoch):
        return 2.0 * super().probabilities(epoch)


class IsFloat32(HighestLoss):
    def probabilities(self, epoch):
        return tf.cast(super().probabilities(epoch), tf.float32)


class HasNegative(HighestLoss):
    def probabilities(self, epoch):
        p = super().probabilities(epoch)
        return tf.concat([p[:1] + 2 * p[-1:], p[1:-1], -p[-1:]], axis=0)


class HasNaN(HighestLoss):
    def probabilities(self, epoch):
        return super().probabilities(epoch) * (np.nan if epoch == 99 else 1.0)


class HasAColumn(HighestLoss):
    def probabilities(self, epoch):
        return super().probabilities(epoch)[:, None]


class ChangesWhenAsked(HighestLoss):
    def probabilities(self, epoch):
        self.loss.assign(self.loss[::-1])
        return super().probabilities(epoch)


class NamesNoFigures(HighestLoss):
    def figures(self, epoch):
        return 8.0


class NamesOtherFiguresLater(HighestLoss):
    def figures(self, epoch):
        return {f"pressure_{epoch}": 8.0}


class ShowsNaN(HighestLoss):
    def figures(self, epoch):
        return {"pressure": np.nan if epoch == 99 else 8.0}


class ForgetsAnArgument(HighestLoss):
    def __init__(self, alpha=1.0):
        super().__init__()

    def get_config(self):
        return {}


class HasArrayInConfig(HighestLoss):
    def __init__(self, alpha=(1.0, 2.0)):
        super().__init__()
        self.alpha = np.array(alpha)

    def get_config(self):
        return {"alpha": self.alpha}


class ConfigGrows(HighestLoss):
    def __init__(self, alpha=1.0):
        super().__init__()
        self.alpha = alpha

    def get_config(self):
        return {"alpha": 2 * self.alpha}


class LongerThanItsSamples(HighestLoss):
    def epoch_draws(self):
        return 10**6


class LengthIsFloat(HighestLoss):
    def epoch_draws(self):
        return 7.0


class LengthFollowsTheVisits(HighestLoss):
    def epoch_draws(self):
        return 1 + int(tf.math.count_nonzero(self.loss < 0.69))


class IgnoresRunLength(HighestLoss):
    run_epochs = property(lambda self: 100, lambda self, epochs: None)


class WarmupIsFloat(HighestLoss):
    warmup = property(lambda self: 0.1 * self.run_epochs)


class WarmupFalls(HighestLoss):
    warmup = property(lambda self: max(0, 10 - self.run_epochs))


class FailsInLongRuns(HighestLoss):
    def probabilities(self, epoch):
        return super().probabilities(epoch) / max(1.0, epoch / 100)


class ObservesInNumpy(HighestLoss):
    def observe(self, ids, y_pred, loss=None):
        super().observe(ids, tf.constant(np.asarray(y_pred)))


class ObservesOnceInAGraph(HighestLoss):
    def build(self, y, features=None, neighbors=None):
        super().build(y)
        self.visits = 0

    def observe(self, ids, y_pred, loss=None):
        self.visits += 1
        super().observe(ids, y_pred / self.visits)


class NeedsAutograph(HighestLoss):
    def observe(self, ids, y_pred, loss=None):
        if tf.reduce_max(y_pred) > 0:
            super().observe(ids, y_pred)


class NormalisesOverTheBatch(HighestLoss):
    def observe(self, ids, y_pred, loss=None):
        super().observe(ids, y_pred - tf.reduce_mean(y_pred, axis=0))


class FailsOnEmptyBatches(HighestLoss):
    def observe(self, ids, y_pred, loss=None):
        super().observe(ids, tf.minimum(y_pred, y_pred[0]) * 0 + y_pred)


class TakesNoLoss(HighestLoss):
    def observe(self, ids, y_pred):
        super().observe(ids, y_pred)


class DividesByLoss(HighestLoss):
    def observe(self, ids, y_pred, loss=None):
        super().observe(ids, y_pred if loss is None else y_pred / tf.zeros_like(loss))


class SaysItUsesNoPredictions(HighestLoss):
    uses_predictions = False


class PlansForever(HighestLoss):
    def plan(self, probabilities, batch_size, seed, epoch, drop_remainder=False):
        return np.arange(2 * len(probabilities))


class PlansInt32(HighestLoss):
    def plan(self, *args):
        return super().plan(*args).astype(np.int32)


class PlansFromOne(HighestLoss):
    def plan(self, *args):
        return super().plan(*args) + 1


class PlansRepeats(HighestLoss):
    def plan(self, probabilities, batch_size, seed, epoch, drop_remainder=False):
        ids = super().plan(probabilities, batch_size, seed, epoch, drop_remainder)
        ids[1] = ids[0]
        return ids


class KeepsTheRemainder(HighestLoss):
    def plan(self, probabilities, batch_size, seed, epoch, drop_remainder=False):
        return super().plan(probabilities, batch_size, seed, epoch)


class PlansWithoutSeed(HighestLoss):
    def plan(self, probabilities, batch_size, seed, epoch, drop_remainder=False):
        return super().plan(probabilities, batch_size, 0, epoch, drop_remainder)


class PlansTheSameEpoch(HighestLoss):
    def plan(self, probabilities, batch_size, seed, epoch, drop_remainder=False):
        return super().plan(probabilities, batch_size, seed, 0, drop_remainder)


class PlansAtRandom(HighestLoss):
    def plan(self, probabilities, batch_size, seed, epoch, drop_remainder=False):
        seed = np.random.default_rng().integers(1 << 30)
        return super().plan(probabilities, batch_size, int(seed), epoch, drop_remainder)


class PrefersFirstSamples(HighestLoss):
    def probabilities(self, epoch):
        ids = tf.range(len(self.y), dtype=tf.float32)
        return sampling.pressure_probabilities(self.loss - 0.01 * ids, 8.0)


class PrefersFirstLabels(HighestLoss):
    def build(self, y, features=None, neighbors=None):
        super().build(y)
        self.y *= tf.range(y.shape[1], dtype=tf.float32)


class NeedsPositives(HighestLoss):
    def build(self, y, features=None, neighbors=None):
        super().build(y)
        self.rarity = 1.0 / tf.reduce_sum(self.y, axis=0)

    def probabilities(self, epoch):
        score = self.loss + tf.linalg.matvec(self.y, self.rarity)
        return sampling.pressure_probabilities(score, 8.0)


class TakesTheLogarithm(HighestLoss):
    def observe(self, ids, y_pred, loss=None):
        super().observe(ids, tf.math.log(y_pred / (1.0 - y_pred)))


class DividesByTheMargin(HighestLoss):
    def observe(self, ids, y_pred, loss=None):
        super().observe(ids, 1.0 / (y_pred - 0.5))


class HidesItsState(HighestLoss):
    state = property(lambda self: {})


class HidesAVariable(HighestLoss):
    def build(self, y, features=None, neighbors=None):
        super().build(y)
        self.sums = [tf.Variable(tf.zeros([len(y)]))]

    def observe(self, ids, y_pred, loss=None):
        super().observe(ids, y_pred)
        total = tf.gather(self.sums[0], ids) + tf.gather(self.loss, ids)
        for variable in (self.sums[0], self.loss):
            variable.scatter_update(tf.IndexedSlices(total, ids))


class FreezesItsState(HighestLoss):
    def build(self, y, features=None, neighbors=None):
        super().build(y)
        self.first = None

    def probabilities(self, epoch):
        if self.first is None:
            self.first = tf.reduce_mean(self.loss)
        return sampling.pressure_probabilities(tf.abs(self.loss - self.first), 8.0)


class BuildsOnce(HighestLoss):
    def build(self, y, features=None, neighbors=None):
        if not hasattr(self, "loss"):
            super().build(y)


class HasPartsOfAll(HighestLoss):
    def score_parts(self, ids):
        return {"loss": self.loss}


class SortsTheSamples(HighestLoss):
    def score_parts(self, ids):
        return {"loss": tf.gather(self.loss, np.sort(ids))}


class HasPartsOfSome(HighestLoss):
    def score_parts(self, ids):
        return {"loss": tf.gather(self.loss, ids)} if len(ids) > 9 else {}


class PredictsOnce(HighestLoss):
    def latest_predictions(self, ids):
        return np.zeros(len(ids))


class KeepsItsState(HighestLoss):
    def build(self, y, features=None, neighbors=None):
        old = getattr(self, "loss", None)
        super().build(y)
        if old is not None and len(old) == len(y):
            self.loss.assign(old)


class NeedsFeatures(HighestLoss):
    uses_neighbors = True

    def build(self, y, features=None, neighbors=None):
        super().build(y)
        self.features = tf.constant(features)


class SearchesAlways(HighestLoss):
    uses_neighbors = True

    def build(self, y, features=None, neighbors=None):
        super().build(y)
        if neighbors is not None:
            raise TypeError("Neighbours are searched, not taken.")


BROKEN = {
    "config_round_trips": [ForgetsAnArgument, HasArrayInConfig, ConfigGrows],
    "probabilities_are_a_distribution": [
        SumsToTwo,
        IsFloat32,
        HasNegative,
        HasNaN,
        HasAColumn,
        ChangesWhenAsked,
    ],
    "epochs_have_a_length": [LongerThanItsSamples, LengthIsFloat, LengthFollowsTheVisits],
    "figures_are_numbers": [NamesNoFigures, NamesOtherFiguresLater, ShowsNaN],
    "warmup_follows_the_run": [IgnoresRunLength, WarmupIsFloat, WarmupFalls, FailsInLongRuns],
    "observe_runs_in_a_graph": [ObservesInNumpy, ObservesOnceInAGraph, NeedsAutograph],
    "visits_may_be_regrouped": [NormalisesOverTheBatch, FailsOnEmptyBatches],
    "losses_may_be_given": [TakesNoLoss, DividesByLoss],
    "uses_predictions_is_true": [SaysItUsesNoPredictions],
    "plans_are_epochs": [
        PlansForever,
        PlansInt32,
        PlansFromOne,
        PlansRepeats,
        KeepsTheRemainder,
        PlansWithoutSeed,
        PlansTheSameEpoch,
        PlansAtRandom,
    ],
    "samples_may_be_permuted": [PrefersFirstSamples],
    "labels_may_be_permuted": [PrefersFirstLabels],
    "labels_may_be_empty": [NeedsPositives],
    "predictions_may_be_extreme": [TakesTheLogarithm, DividesByTheMargin],
    "state_is_complete": [HidesItsState, HidesAVariable, FreezesItsState],
    "build_starts_afresh": [BuildsOnce, KeepsItsState],
    "parts_are_of_the_samples_asked_for": [
        HasPartsOfAll,
        SortsTheSamples,
        HasPartsOfSome,
        PredictsOnce,
    ],
    "neighbors_may_be_given": [NeedsFeatures, SearchesAlways],
}


def test_the_strategy_that_the_docstring_shows_passes():
    check_strategy(HighestLoss())
    check_strategy(HighestLoss(warmup=0.2, epochs=30))


def test_a_name_and_a_built_strategy_are_taken_and_left_as_they_are():
    check_strategy("uniform")
    strategy = HighestLoss(warmup=2)
    strategy.build(np.eye(4))
    check_strategy(strategy)
    assert strategy.probabilities(0).shape == (4,)


@pytest.mark.parametrize(
    ("rule", "broken"), [(rule, broken) for rule, all_ in BROKEN.items() for broken in all_]
)
def test_a_broken_strategy_is_told_which_rule(rule, broken):
    message = rf"^{broken.__name__} breaks the rule `{rule}`\. Received: .*\. .* must "
    with pytest.raises(AssertionError, match=message):
        check_strategy(broken())


def test_every_rule_can_fail():
    assert list(BROKEN) == list(testing._RULES)


def test_an_error_of_the_strategy_itself_is_shown():
    with pytest.raises(
        AssertionError, match=r"TypeError.*Neighbours are searched, not taken"
    ) as error:
        check_strategy(SearchesAlways())
    assert isinstance(error.value.__cause__, TypeError)


@pytest.mark.parametrize("wrong", [Uniform, None, 3])
def test_neither_name_nor_strategy(wrong):
    with pytest.raises(TypeError, match=r"a name or a Strategy object\. Received"):
        check_strategy(wrong)
