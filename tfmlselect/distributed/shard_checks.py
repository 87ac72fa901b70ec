"""Whether workers fit together, looked at before they train on shards of one training set.

How samples are dealt out to workers is in `shards`.
"""

from __future__ import annotations

import zlib
from typing import Any

from tfmlselect.distributed import workers


def check_shards(selection: Any) -> None:
    """All workers train alike, each on samples of its own; called by each of them.

    Args:
        selection: the `Selection` of this worker's adaptive dataset.

    Raises:
        ValueError: they do not; every worker raises it.
    """
    plan = selection.plan
    whole = plan.draws % plan.batch_size == 0
    if set(workers.each_text(str(whole))) != {"True"}:
        raise ValueError(
            "On several machines all batches must be whole. Received: batch_size="
            f"{plan.batch_size} for a shard of {plan.n} samples, and whole batches on this worker: "
            f"{whole}. Pass drop_remainder=True everywhere; what an epoch leaves out is another "
            "part each time."
        )
    facts = {
        "len(train)": plan.steps,
        "batch_size": plan.batch_size,
        "labels": selection.source.labels.q,
        "strategy": type(selection.strategy).__name__,
        "completed epochs": selection.epoch,
    }
    known = {name: workers.each_text(str(fact)) for name, fact in facts.items()}
    differing = {name: said for name, said in known.items() if len(set(said)) > 1}
    if differing:
        received = ", ".join(f"{name}=[{', '.join(said)}]" for name, said in differing.items())
        raise ValueError(
            "All workers must train alike, on shards of equal size. Received, worker by worker: "
            f"{received}. Run the same script with the same settings everywhere; "
            "tfmlselect.stratified_shards(y, workers) deals samples out evenly; leave those of "
            "weight 0 out before."
        )
    samples = f"{zlib.crc32(selection.source.labels.matrix.data)} {selection.source.fingerprint()}"
    everyone = workers.each_text(samples)
    if len(set(everyone)) < len(everyone):
        raise ValueError(
            "Each worker must hold a shard of its own. Received: workers with the same labels and "
            "the same x. Give each its part: tfmlselect.stratified_shards(y, workers)[worker]."
        )
