"""What is wrong with the arguments of `AdaptiveBatchSelection`, said when it is made."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tfmlselect._checks import check_argument
from tfmlselect.pipeline.dataset import AdaptiveDataset


def check_arguments(dataset: Any, options: Mapping[str, Any]) -> None:
    """Those that the objects made of them do not check themselves.

    Raises:
        TypeError: `dataset` is no `AdaptiveDataset`.
        ValueError: an option outside its range.
    """
    if not isinstance(dataset, AdaptiveDataset):
        raise TypeError(
            "The callback leads an adaptive dataset. Received: dataset of type "
            f"{type(dataset).__name__}. Make one: train = tfmlselect.adaptive_dataset((x, y))."
        )
    every, signal, output = options["every"], options["signal"], options["output"]
    scores, from_logits = options["scores"], options["from_logits"]
    check_argument(scores in ("record", "predict"), "scores", scores, '"record" or "predict"')
    check_argument(isinstance(every, int) and every >= 1, "every", every, "a whole number >= 1")
    check_argument(
        signal == "probability" or callable(signal),
        "signal",
        signal,
        '"probability" or a function (y, y_pred) -> (b, q)',
    )
    check_argument(
        from_logits in (True, False, "auto"), "from_logits", from_logits, 'True, False or "auto"'
    )
    check_argument(
        not isinstance(output, (list, tuple)) or len(output) > 0,
        "output",
        output,
        "a name, an index or a list of one or more of them",
    )
    check_argument(
        options["backup_dir"] is None or dataset._selection.repeatable,
        "backup_dir",
        options["backup_dir"],
        "None, or the dataset made with a seed: adaptive_dataset(..., seed=0)",
    )
