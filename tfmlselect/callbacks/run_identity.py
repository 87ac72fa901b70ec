"""What a run is known by: all that changes its plans or its state, as values for JSON.

A backup has these facts, and only a run with the same may go on from it. What may differ is not
among them: learning rate and other settings of the optimizer, loss, metrics, the number of epochs.
"""

from __future__ import annotations

import functools
import hashlib
import json
import re
import types
from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf
from scipy import sparse

from tfmlselect.pipeline.selection import Selection

# Options of the callback that change what a strategy sees, or when.
_OPTIONS = ("scores", "every", "signal", "output", "from_logits")
# What says nothing of a layer whose weights are put back, or is written otherwise by the next
# version of Keras.
_UNTOLD = {"module", "registered_name", "build_config", "compile_config", "shared_object_id"}
_UNTOLD |= {"build_input_shape", "batch_input_shape", "seed"}
_ADDRESS = re.compile(r"\bat 0x[0-9a-fA-F]+")


def of_dataset(selection: Selection, options: Mapping[str, Any]) -> dict[str, Any]:
    """What is known of data, plans and strategy before a model is.

    Args:
        selection: of the dataset.
        options: of the callback.
    """
    plan, strategy, source = selection.plan, selection.strategy, selection.source
    return {
        "labels": hashlib.sha256(source.labels.matrix.tobytes()).hexdigest(),
        "x": source.fingerprint(),
        "stream": source.sketch,
        "window": source.window,
        "n": plan.n,
        "batch_size": plan.batch_size,
        "drop_remainder": plan.drop_remainder,
        "samples_per_epoch": plan.options.samples_per_epoch,
        "draws": plan.options.draws,
        "importance_weights": plan.options.exponent.get_config(),
        "seed": plan.run_seed,
        "strategy": type(strategy).__name__,
        "config": checksum(strategy.get_config()),
        "features": checksum(source.features),
        "neighbors": checksum(source.neighbors),
        "sample_weight": checksum(source.sample_weight),
        **{name: plain(options[name]) for name in _OPTIONS},
    }


def of_model(model: tf.keras.Model) -> dict[str, Any]:
    """What is known of a model beside its variables: its layers, and the kind of its optimizer."""
    optimizer = model.optimizer
    inner = getattr(optimizer, "inner_optimizer", None)  # of one that scales the loss
    kinds = [type(each).__name__ for each in (optimizer, inner) if each is not None]
    return {"layers": checksum(_described(model)), "optimizer": " of ".join(kinds)}


def checksum(value: Any) -> str:
    """The same for equal values, in whichever process and at whichever address they are."""
    return hashlib.sha256(json.dumps(plain(value), sort_keys=True).encode()).hexdigest()


def plain(value: Any, outer: tuple[int, ...] = ()) -> Any:
    """A value as JSON can hold it: arrays by a checksum, functions by name, objects by what is in
    them. What JSON can hold stays as it is.

    Args:
        value: any.
        outer: ids of the objects that it is found in.
    """
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if id(value) in outer:
        return "itself"
    within = functools.partial(plain, outer=(*outer, id(value)))
    if isinstance(value, Mapping):
        if all(isinstance(key, str) for key in value):
            return {key: within(each) for key, each in value.items()}
        pairs = [[within(key), within(each)] for key, each in value.items()]
        return {"pairs": sorted(pairs, key=json.dumps)}
    if isinstance(value, (list, tuple)):
        whole = {*map(type, value)} <= {bool, int, float, str, type(None)}  # may be millions
        return list(value) if whole else [within(each) for each in value]
    if isinstance(value, (set, frozenset)):
        return {"set": sorted(map(within, value), key=json.dumps)}
    if isinstance(value, bytes):
        return {"bytes": hashlib.sha256(value).hexdigest()}
    if sparse.issparse(value):
        rows = value.tocsr().sorted_indices()
        parts = (rows.indptr.astype(np.int64), rows.indices.astype(np.int64), rows.data)
        return {"sparse": [list(rows.shape), *map(within, parts)]}
    if isinstance(value, np.ndarray):
        return _array(value, within)
    if isinstance(value, type):
        return {"class": _name(value)}
    return _object(value, within)


def _array(array: np.ndarray, within: Any) -> dict[str, Any]:
    if array.dtype.hasobject:
        return {"shape": list(array.shape), "entries": [within(each) for each in array.flat]}
    if not array.dtype.isnative:
        array = array.astype(array.dtype.newbyteorder("="))
    content = hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()
    return {"shape": list(array.shape), "dtype": array.dtype.name, "sha256": content}


def _object(value: Any, within: Any) -> dict[str, Any]:
    """A function or an object of a class that is not known here."""
    function = getattr(value, "python_function", value)  # of a tf.function
    if isinstance(function, functools.partial):
        parts = (function.func, function.args, function.keywords)
        return {"partial": [within(part) for part in parts]}
    if isinstance(function, types.MethodType):
        return {"method": function.__name__, "of": within(function.__self__)}
    if isinstance(function, types.FunctionType):
        bound = [function.__defaults__, function.__kwdefaults__]
        cells = [_content(cell) for cell in function.__closure__ or ()]
        return {"function": _name(function), "bound": within([*bound, *cells])}
    if hasattr(value, "__array__") and not callable(value):
        try:
            return within(np.asarray(value))
        except Exception:  # a tensor without a value, ...
            return {"class": _name(type(value))}
    kind = {"class": _name(type(value))}
    if hasattr(value, "get_config"):
        try:
            return {**kind, "config": within(value.get_config())}
        except Exception:  # of the object's own making
            pass
    slots = [name for each in type(value).__mro__ for name in getattr(each, "__slots__", ())]
    held = {name: getattr(value, name) for name in slots if hasattr(value, name)}
    held |= getattr(value, "__dict__", {})
    if held:
        return {**kind, "holds": within(held)}
    text = repr(value)
    return kind if _ADDRESS.search(text) else {**kind, "text": text}


def _content(cell: types.CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # not filled yet
        return None


def _name(value: Any) -> str:
    return f"{value.__module__}.{value.__qualname__}"


def _described(model: Any) -> Any:
    """A model's or layer's class and settings; of layers whose config does not tell, theirs too."""
    try:
        config = model.get_config()
    except Exception:  # of a subclass that has none
        config = {}
    names: dict[str, int] = {}
    _count_names(config, names)
    described = [type(model).__name__, _canonical(config, names)]
    if "layers" not in config:
        described += [_described(layer) for layer in getattr(model, "layers", ())]
    return described


def _count_names(config: Any, names: dict[str, int]) -> None:
    """Numbers the layers of a model's config, and of models in it, by their names."""
    layers = config.get("layers") if isinstance(config, dict) else None
    for layer in layers if isinstance(layers, list) else ():
        inner = layer.get("config") if isinstance(layer, dict) else None
        if isinstance(inner, dict) and isinstance(inner.get("name"), str):
            names.setdefault(inner["name"], len(names))
            _count_names(inner, names)


def _canonical(value: Any, names: dict[str, int]) -> Any:
    """A config without names, which Keras counts on ("dense_3"): a layer is known by its number.

    Without what is None or False too, as arguments are that a later Keras adds.
    """
    if isinstance(value, dict):
        kind, config = value.get("class_name"), value.get("config")
        if kind == "__lambda__":  # whose code is not always written alike
            return kind
        if "Policy" in str(kind) and isinstance(config, dict) and "name" in config:
            return config["name"]
        of_layer = "trainable" in value or "layers" in value or str(value.get("name")) in names
        untold = _UNTOLD | ({"name"} if of_layer else set())
        if value.get("function_type") == "lambda":
            untold = untold | {"function"}
        told = {
            key: _canonical(each[1:] if key == "batch_shape" and each else each, names)
            for key, each in value.items()
            if key not in untold and not str(key).endswith("_initializer")
        }
        return {key: each for key, each in told.items() if each is not None and each is not False}
    if isinstance(value, (list, tuple)):
        # An output of a layer: its name, and two numbers.
        is_output = len(value) >= 3 and isinstance(value[0], str) and isinstance(value[1], int)
        if is_output and value[0] in names:
            return [names[value[0]], *(_canonical(each, names) for each in value[1:])]
        return [_canonical(each, names) for each in value]
    return value
