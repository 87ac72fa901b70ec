"""Tables and sparse tensors as the arrays that they stand for.

Whether an array is what is wanted is not looked at here.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf
from scipy import sparse


def as_plain(value: Any) -> Any:
    """A pandas table or column of numbers as one array, a SparseTensor as a matrix; else the same.

    Columns of several types, truth values among them, get the type that holds them all, as NumPy
    has it; what is missing in a nullable column becomes NaN. A SparseTensor (n, d) of numbers
    becomes a CSR matrix.
    """
    if isinstance(value, tf.SparseTensor) and value.shape.rank == 2:
        if value.dtype.is_floating or value.dtype.is_integer or value.dtype.is_bool:
            rows, columns = value.indices.numpy().T
            values, shape = value.values.numpy(), tuple(value.dense_shape.numpy())
            if values.dtype.itemsize == 2 and value.dtype.is_floating:  # which scipy has not
                values = values.astype(np.float32)
            return sparse.csr_matrix((values, (rows, columns)), shape)
        return value
    if not all(hasattr(value, each) for each in ("iloc", "dtypes", "to_numpy")):
        return value
    dtypes = list(value.dtypes) if hasattr(value, "columns") else [value.dtype]
    numpy = [_numpy_dtype(dtype) for dtype in dtypes]
    if not numpy or any(dtype.kind not in "biuf" for dtype in numpy):
        return value
    common = np.result_type(*numpy)
    if any(dtype is not own for dtype, own in zip(dtypes, numpy, strict=True)):
        if not value.isna().to_numpy().any():
            return value.to_numpy(dtype=common)
        return value.to_numpy(dtype=np.result_type(common, np.float16), na_value=np.nan)
    return value.to_numpy(dtype=common)


def columns_without_numbers(value: Any) -> dict[str, str]:
    """The types of those columns of a table, pandas' or polars', that hold no numbers, by name."""
    if not all(hasattr(value, each) for each in ("to_numpy", "columns", "dtypes")):
        return {}
    found = {}
    for name, dtype in zip(value.columns, value.dtypes, strict=True):
        # The types of polars have no kind.
        kind = getattr(dtype, "kind", "f" if str(dtype).startswith(_NUMBERS) else "O")
        if kind not in "biuf":
            found[name] = str(dtype)
    return found


_NUMBERS = ("Int", "UInt", "Float", "Decimal", "Boolean")


def _numpy_dtype(dtype: Any) -> np.dtype:
    """NumPy's type for a column's; that of objects where there is none."""
    if isinstance(dtype, np.dtype):
        return dtype
    for name in ("numpy_dtype", "subtype"):  # of nullable and Arrow, of sparse columns
        found = getattr(dtype, name, None)
        if isinstance(found, np.dtype):
            return found
    return np.dtype(object)
