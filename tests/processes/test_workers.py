"""Two workers, each with its shard of the samples, select as one machine with all of them."""

import itertools
import logging
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

import tfmlselect as tfml
from tests.processes import workers_run
from tests.support.child_process import environment
from tfmlselect.distributed import workers

SCRIPT = Path(__file__).with_name("workers_run.py")
KERAS_3 = getattr(tf.keras, "__version__", "2").startswith("3")


def run(task, count, folder):
    """The results of each worker, in processes of their own."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = ",".join(str(each.getsockname()[1]) for each in sockets)
    for each in sockets:
        each.close()
    files = [folder / f"{task}_{count}_{number}.npz" for number in range(count)]
    running = [
        subprocess.Popen(
            [sys.executable, str(SCRIPT), task, str(number), ports, str(file)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env=environment(),
        )
        for number, file in enumerate(files)
    ]
    try:
        errors = [each.communicate(timeout=500)[1].decode()[-3000:] for each in running]
    finally:
        for each in running:
            each.kill()
    assert [each.returncode for each in running] == [0] * count, "\n".join(errors)
    return [dict(np.load(file)) for file in files]


@pytest.fixture(scope="module")
def distributions(tmp_path_factory):
    folder = tmp_path_factory.mktemp("distributions")
    return [run("distributions", count, folder) for count in (1, 2)]


def training_set_labels():
    return workers_run.training_set(workers_run.N)[1]


NAMES = [*tfml.strategies.names(), "correlated", "learnt", "capped", "mixture", "switch"]


def test_each_worker_thins_its_own_samples(distributions):
    """π is that of the shard, and π = 1 of samples with a label, over the draws of all workers."""
    rng, n = np.random.default_rng(2), 4000
    y = workers_run.training_set(n)[1]
    p = np.clip(0.4 * y + 0.6 * rng.random((3, n, 6)), 0, 1).astype("float32")[-1]
    shards = [workers_run.shard(number, 2, n) for number in range(2)]
    alone = []
    for here in shards:
        alone.append(tfml.strategies.RareEvents([5], draw="predicted"))
        alone[-1].build(y[here])
        alone[-1].observe(np.arange(n // 2), p[here])
    draws = [strategy.epoch_draws() for strategy in alone]
    assert draws[0] != draws[1]
    for each, strategy, own in zip(distributions[1], alone, draws, strict=True):
        expected = np.asarray(strategy.probabilities(0)) * own / sum(draws)
        np.testing.assert_allclose(each["rare_events_4000"], expected, rtol=1e-6)


@pytest.mark.parametrize("name", [name for name in NAMES if name != "rare_events"])
def test_the_workers_distributions_together_are_that_of_one_machine(distributions, name):
    (one,), two = distributions
    expected = one[f"{name}_4000"]
    together = np.concatenate([each[f"{name}_4000"] for each in two])
    assert together.sum() == pytest.approx(1.0, abs=1e-9)
    # Sums in another order move single samples by one step of the pressure law, s^(1/n).
    np.testing.assert_allclose(together, expected, rtol=2e-3)
    off = np.abs(together - expected) / expected.max()
    assert np.quantile(off, 0.95) < (1e-3 if name in RANKED else 1e-6)


@pytest.mark.parametrize("name", workers_run.UNKNOWN)
def test_labels_that_one_worker_does_not_know(distributions, name):
    (one,), two = distributions
    expected = one[f"{name}_unknown"]
    together = np.concatenate([each[f"{name}_unknown"] for each in two])
    np.testing.assert_allclose(together, expected, rtol=2e-2)
    off = np.abs(together - expected) / expected.max()
    assert np.quantile(off, 0.95) < 1e-5
    assert np.ptp(expected) > 1e-4


def has_parts(name):
    """Whether a strategy says what its scores are made of; a static one has none."""
    if name not in tfml.strategies.names():  # the variants, which all have parts
        return True
    kind = type(tfml.strategies.get(name))
    return kind.score_parts is not tfml.strategies.Strategy.score_parts


@pytest.mark.parametrize("name", NAMES)
def test_the_workers_score_parts_together_are_those_of_one_machine(distributions, name):
    (one,), two = distributions
    expected = one[f"{name}_4000_parts"]
    together = np.concatenate([each[f"{name}_4000_parts"] for each in two], axis=1)
    assert (expected.shape[0] == 0) == (not has_parts(name))
    np.testing.assert_allclose(together, expected, rtol=1e-4, atol=1e-4)


RANKED = ("online_batch", "mixture")  # by histograms of the ranks


def test_the_strategies_are_not_uniform_here(distributions):
    (one,), _ = distributions
    uniform = {name for name in NAMES if np.ptp(one[f"{name}_4000"]) < 1e-6}
    assert uniform == {"uniform"}


def test_what_is_sent_does_not_grow_with_the_number_of_samples(distributions):
    for each in distributions[1]:
        for name in NAMES:
            few, many = each[f"{name}_400_sent"], each[f"{name}_4000_sent"]
            assert 0 < few == many < 66_000, name
        q = 6
        assert each["d2ace_4000_sent"] == 16 * q**2 + 48 * q + 104  # as docs/distributed.md has it
        assert each["uncertainty_4000_sent"] == 8 * (5 * q) ** 2 + 56
        assert each["online_batch_4000_sent"] == 2 * 8 * 4096 + 56
        # 8 q + 16 of these once, for the counts; `figures` asks for 32 q again.
        assert each["adaptive_balance_4000_sent"] == 40 * q + 232


@pytest.fixture(scope="module")
def fits(tmp_path_factory):
    if KERAS_3:
        pytest.skip("the fit of Keras 3 cannot train on several machines")
    folder = tmp_path_factory.mktemp("fits")
    return [run("fit", count, folder) for count in (1, 2)]


def test_workers_record_every_sample_of_their_plans(fits):
    for each in fits[1]:
        assert each["still_plans"].shape == (4, 42)
        np.testing.assert_allclose(each["still_prediction"], each["still_expected"], rtol=1e-5)
        assert sorted(each["still_plans"][0]) == list(range(42))
        assert len(set(each["still_plans"][3])) < 42
    plans = [each["still_plans"] for each in fits[1]]
    assert (plans[0] != plans[1]).any(axis=1).all()  # each worker draws by its own random numbers


def test_a_fit_selects_as_on_one_machine(fits):
    """With a rate of 0 the predictions are the same, whatever is drawn."""
    (one,), two = fits
    together = np.concatenate([each["still_distribution"] for each in two])
    np.testing.assert_allclose(together, one["still_distribution"], rtol=3e-2)  # a step: 8^(1/84)
    assert np.median(np.abs(together / one["still_distribution"] - 1)) < 1e-4
    assert np.ptp(one["still_distribution"]) > 0.4 / 84
    np.testing.assert_array_equal(one["still_masses"], 1.0)
    np.testing.assert_allclose(sum(each["still_masses"] for each in two), 1.0)


def test_all_workers_have_the_same_model_and_the_same_figures(fits):
    first, second = fits[1]
    own = ("plans", "drawn_from", "distribution", "masses", "prediction", "expected")
    shared = [name for name in first if not name.endswith(own) and "written" not in name]
    assert {"learning_kernel", "learning_ideal", "learning_recall", "learning_entropy"} < {*shared}
    for name in shared:
        np.testing.assert_allclose(first[name], second[name], rtol=1e-6, err_msg=name)
    assert np.abs(first["learning_kernel"] - first["still_kernel"]).max() > 0.05


def test_figures_are_of_all_samples(fits):
    (one,), (first, second) = fits
    # The warm-up goes through all samples on both sides.
    for name in ("effective_sample_size", "entropy", "unique_samples", "minority_share"):
        assert first[f"still_{name}"][0] == pytest.approx(one[f"still_{name}"][0], rel=1e-6), name
    np.testing.assert_allclose(first["still_recall"][0], one["still_recall"][0], rtol=1e-6)
    uneven = np.maximum(first["still_masses"], second["still_masses"])[:-1] / 0.5
    np.testing.assert_allclose(first["still_shard_imbalance"], uneven, rtol=1e-6)
    assert uneven[0] == 1.0
    assert uneven[-1] > 1.01
    assert not [name for name in one if "shard_imbalance" in name]


def test_attention_is_of_all_workers_draws(fits):
    first, second = fits[1]
    y, seen = training_set_labels(), []
    for epoch in range(4):
        ids = np.concatenate([first["still_plans"][epoch], 42 + second["still_plans"][epoch]])
        seen.append(y[ids].mean(axis=0) / y.mean(axis=0))
    for each in (first, second):
        np.testing.assert_allclose(each["still_label_attention"], seen, rtol=1e-9)
    assert np.ptp(seen[3]) > 0.1


def test_the_variance_ratio_is_of_all_samples(fits):
    (one,), (first, second) = fits
    y = training_set_labels()
    errors = np.linalg.norm(
        y - np.concatenate([first["still_expected"], second["still_expected"]]), axis=1
    )
    exact = (errors**2).mean() / errors.mean() ** 2
    for each in (one, first, second):
        np.testing.assert_allclose(each["uniform_variance_ratio"], [exact] * 2, rtol=1e-5)
        assert each["still_variance_ratio"][0] == pytest.approx(exact, rel=1e-5)  # the warm-up
    for epoch in range(4):
        ids = [first["still_plans"][epoch], 42 + second["still_plans"][epoch]]
        weights = [
            1 / each["still_drawn_from"][epoch][each["still_plans"][epoch]]
            for each in (first, second)
        ]
        g, w = errors[np.concatenate(ids)], np.concatenate(weights)
        expected = w.sum() * (w @ g**2) / (w @ g) ** 2
        for each in (first, second):
            assert each["still_variance_ratio"][epoch] == pytest.approx(expected, rel=1e-5)
    assert abs(first["still_variance_ratio"][3] - exact) > 1e-4


def test_the_first_worker_writes_for_all(fits):
    pytest.importorskip("tensorboard")
    first, second = fits[1]
    assert (first["written_files"], second["written_files"]) == (1, 0)
    y = training_set_labels()
    p = np.concatenate([first["still_expected"], second["still_expected"]])
    for j in range(y.shape[1]):
        attention = first["still_label_attention"][:, j]
        np.testing.assert_allclose(first[f"written_label_attention/{j}"], attention, rtol=1e-6)
        for epoch, shown in enumerate(first[f"written_label_hardness/{j}"]):
            ids = np.concatenate([first["still_plans"][epoch], 42 + second["still_plans"][epoch]])
            assert shown == pytest.approx(np.abs(y - p)[ids, j].mean(), rel=1e-5)


@pytest.mark.skipif(KERAS_3, reason="the fit of Keras 3 cannot train on several machines")
def test_a_run_is_put_back_on_all_workers(tmp_path):
    for each, kind in itertools.product(run("resume", 2, tmp_path), ("whole", "short")):
        found = {name.removeprefix(f"{kind}_"): each[name] for name in each if kind in name}
        assert len(found["first_plans"]) == len(found["second_plans"]) == 2
        together = np.concatenate([found["first_plans"], found["second_plans"]])
        np.testing.assert_array_equal(together, found["run_plans"])
        np.testing.assert_allclose(found["second_kernel"], found["run_kernel"], rtol=1e-5)
        np.testing.assert_allclose(found["second_imbalance"], found["run_imbalance"][2:])


@pytest.mark.skipif(KERAS_3, reason="the fit of Keras 3 cannot train on several machines")
@pytest.mark.skipif(sys.version_info < (3, 11), reason="contextlib.chdir")
def test_the_page_runs_as_it_stands(tmp_path):
    first, second = run("page", 2, tmp_path)
    assert len({*first["shard"], *second["shard"]}) == 640
    np.testing.assert_array_equal(first["kernel"], second["kernel"])
    assert first["epochs"] == second["epochs"] == 6
    assert first["kept"] == second["kept"] == 2


def test_what_cannot_train_together_is_refused(tmp_path):
    pytest.importorskip("tensorboard")
    for each in run("refusals", 2, tmp_path):
        wanted = {
            "size": "worker by worker: len(train)=[6, 8]. Run",
            "strategy": "worker by worker: strategy=[OnlineBatch, D2ACE]. Run",
            "part": "whole batches on this worker: ",
            "same": "Received: workers with the same labels and the same x. Give each its part",
            "board": "Some workers were given a `log_dir` and others not.",
            "apart": "",
        }
        if KERAS_3:
            wanted = dict.fromkeys(wanted, "The fit of Keras 3 cannot train on several machines")
        assert each.keys() == wanted.keys() | {"warnings"}
        for kind, message in wanted.items():
            assert message in str(each[kind])
        apart = [
            message for message in each["warnings"] if "made outside of a MultiWorker" in message
        ]
        assert len(apart) == (0 if KERAS_3 else 1)


def test_alone_figures_are_what_was_given():
    with workers.together(None):
        assert not workers.are_several()
        assert float(workers.total(2.5)) == 2.5
        assert workers.each([1, 2]).numpy().tolist() == [[1, 2]]
        assert workers.own_number() == 0
        assert workers.each_text("three") == ["three"]
    assert not workers.spans_workers(tf.distribute.get_strategy())
    assert workers.strategy_of(tf.keras.Sequential()) is None


def test_a_function_of_many_objects_is_not_traced_again_and_again():
    said = []
    handler = logging.Handler()
    handler.emit = said.append
    tf.get_logger().addHandler(handler)
    try:
        for k in range(12):
            double = workers.compiled(lambda x: 2 * x)
            assert [int(double(tf.constant(i))) for i in (k, k + 1)] == [2 * k, 2 * k + 2]
    finally:
        tf.get_logger().removeHandler(handler)
    assert not said
