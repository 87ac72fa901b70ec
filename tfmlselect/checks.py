"""Checks of arrays that several rooms share."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import sparse

_VALUES_AT_ONCE = 1 << 22


def check_finite(array: Any, name: str) -> None:
    """Scans numbers for NaN and infinity in chunks of rows, so that a memory map is not loaded.

    Raises:
        ValueError: a value that is not finite, with its row.
    """
    if array.dtype.kind not in "fc":
        return
    values = array.tocsr().data if sparse.issparse(array) else array
    step = max(1, _VALUES_AT_ONCE // max(1, int(np.prod(values.shape[1:]))))
    for start in range(0, len(values), step):
        chunk = np.asarray(values[start : start + step])
        finite = np.isfinite(chunk)
        if not finite.all():
            first = np.argwhere(~finite)[0]
            where = "its stored values" if sparse.issparse(array) else f"row {start + first[0]}"
            raise ValueError(
                f"`{name}` must be finite. Received: {chunk[tuple(first)]} in {where}. "
                "Fill missing values first, for example with sklearn.impute.SimpleImputer."
            )
