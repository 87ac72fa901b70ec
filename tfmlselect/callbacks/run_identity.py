"""What a run is known by: all that changes its plans or its state, as values for JSON.

A backup has these facts, and only a run with the same may go on from it. What may differ is not
among them: learning rate and other settings of the optimizer, loss, metrics, the number of epochs.
"""

from __future__ import annotations

import enum
import functools
import hashlib
import inspect
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
# Where objects have no values of their own to be known by, but parts that are made anew each time.
_LIBRARIES = {"tensorflow", "keras", "tf_keras", "tfmlselect"}
# Objects in objects in objects: what is further inside counts by its class.
_DEEPEST = 50
_LARGEST = 100_000  # parts of what is written out
_ADDRESS = re.compile(r"\bat 0x[0-9a-fA-F]+")


def of_dataset(selection: Selection, options: Mapping[str, Any]) -> dict[str, Any]:
    """What is known of data, plans and strategy before a model is.

    Args:
        selection: of the dataset.
        options: of the callback.
    """
    plan, strategy, source = selection.plan, selection.strategy, selection.source
    made_by = source.features_made_by
    labels = hashlib.sha256(source.labels.matrix.tobytes())
    if source.labels.known is not None:
        labels.update(source.labels.known.tobytes())
    return {
        "labels": labels.hexdigest(),
        "label_parts": [list(part) for part in source.labels.parts],
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
        # Those that a function made of x may differ as x may, in the last bit.
        **({} if made_by is not None else {"features": checksum(source.features)}),
        "features_made_by": checksum(made_by),
        "neighbors": checksum(source.neighbors),
        "sample_weight": checksum(source.sample_weight),
        # Of a stream: arrays have their weights above.
        "left_out": checksum(source.kept.ids),
        **{name: _option(options[name]) for name in _OPTIONS},
    }


def of_model(model: tf.keras.Model) -> dict[str, Any]:
    """What is known of a model beside its variables: its layers, and the kind of its optimizer."""
    optimizer = model.optimizer
    inner = getattr(optimizer, "inner_optimizer", None)  # of one that scales the loss
    kinds = [type(each).__name__ for each in (optimizer, inner) if each is not None]
    return {
        "layers": checksum(_described(model)),
        "vocabularies": checksum(_vocabularies(model)),
        "optimizer": " of ".join(kinds),
    }


def checksum(value: Any) -> str:
    """The same for equal values, in whichever process and at whichever address they are."""
    return _digest(plain(value))


def plain(value: Any) -> Any:
    """A value as JSON can hold it; what JSON can hold stays as it is.

    Arrays are known by a checksum, objects by what is in them, or by their class where they are
    TensorFlow's or Keras' own. A method is known by its name and its object's class, a function by
    its name, its defaults, and of what it closes over by values, arrays and functions: other
    objects there, such as models, count by their class.
    """
    return _Walk().walk(value)


def _option(value: Any) -> Any:
    """An option of the callback: as it is if short, for the error to show, else a checksum."""
    is_short = isinstance(value, str) and len(value) <= 40
    if value is None or is_short or isinstance(value, (bool, int, float)):
        return value
    return {"sha256": _digest(_Walk().walk(value, by_class=True))}


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


class _Walk:
    """Goes through a value once: each object in it is looked at a single time.

    What has more than `_LARGEST` parts is written as a checksum, so that objects in many places
    do not make the text longer than they are.
    """

    def __init__(self) -> None:
        # By id and `by_class`: the object, kept so that no other gets its id; what it is written
        # as, "itself" until that is known; the number of parts.
        self._seen: dict[tuple[int, bool], tuple[Any, Any, int]] = {}
        self._parts = 0  # of what is written

    def walk(self, value: Any, by_class: bool = False, depth: int = 0) -> Any:
        """What `plain` says.

        Args:
            value: any.
            by_class: objects count by their class alone, as in functions.
            depth: the number of objects that it is found in.
        """
        self._parts += 1
        if isinstance(value, np.generic):
            value = value.item()
        if value is None or isinstance(value, (bool, int, float, str)):
            return value
        key = (id(value), by_class)
        if key not in self._seen:
            before = self._parts
            self._seen[key] = (value, "itself", 0)
            written = self._written(value, by_class, depth)
            parts = self._parts - before
            if parts > _LARGEST:
                written, parts = {"sha256": _digest(written)}, 0
            self._seen[key] = (value, written, parts)
            self._parts = before
        _, written, parts = self._seen[key]
        self._parts += parts
        return written

    def _written(self, value: Any, by_class: bool, depth: int) -> Any:
        if depth > _DEEPEST:
            return {"class": _name(type(value))}
        within = functools.partial(self.walk, by_class=by_class, depth=depth + 1)
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
        if isinstance(value, (type, types.ModuleType)):
            return {"class" if isinstance(value, type) else "module": _name(value)}
        if isinstance(value, tf.DType):
            return {"dtype": value.name}
        called = _function(value, functools.partial(within, by_class=True))
        return called or _object(value, within, by_class)


def _array(array: np.ndarray, within: Any) -> dict[str, Any]:
    if array.dtype.hasobject:
        return {"shape": list(array.shape), "entries": [within(each) for each in array.flat]}
    if not array.dtype.isnative:
        array = array.astype(array.dtype.newbyteorder("="))
    content = hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()
    return {"shape": list(array.shape), "dtype": array.dtype.name, "sha256": content}


def _function(value: Any, within: Any) -> dict[str, Any] | None:
    """A function or method; None for anything else."""
    function = value
    if hasattr(value, "python_function"):  # a tf.function
        function = value.python_function
        inner = inspect.unwrap(function)
        function = inner if isinstance(inner, types.MethodType) else function
    if isinstance(function, functools.partial):
        parts = (function.func, function.args, function.keywords)
        return {"partial": [within(part) for part in parts]}
    if isinstance(function, types.MethodType):
        return {"method": _name(function), "of": _name(type(function.__self__))}
    if isinstance(function, types.FunctionType):
        bound = [function.__defaults__, function.__kwdefaults__]
        cells = [_content(cell) for cell in function.__closure__ or ()]
        return {"function": _name(function), "bound": within([*bound, *cells])}
    if isinstance(getattr(function, "__qualname__", None), str):  # NumPy's, Python's own
        return {"function": _name(function)}
    return None


def _object(value: Any, within: Any, by_class: bool) -> dict[str, Any]:
    """An object of a class that is not known here."""
    kind = {"class": _name(type(value))}
    if isinstance(value, (tf.keras.layers.Layer, tf.Variable)):
        return kind
    if isinstance(value, enum.Enum):
        return {**kind, "name": value.name}
    if isinstance(value, tf.Tensor) or (not by_class and _is_array_like(value)):
        try:
            return within(np.asarray(value))
        except Exception:  # a tensor without a value, ...
            return kind
    if hasattr(value, "get_config"):  # a loss, schedule, strategy: a value
        try:
            config = dict(value.get_config())
        except Exception:  # of the object's own making
            config = None
        if config is not None:
            if _of_library(value):
                config.pop("name", None)  # Keras may have counted it on
            return {**kind, "config": within(config)}
    if by_class or _of_library(value):
        return kind
    slots = [name for each in type(value).__mro__ for name in getattr(each, "__slots__", ())]
    held = {name: getattr(value, name) for name in slots if hasattr(value, name)}
    held |= getattr(value, "__dict__", {})
    if held:
        return {**kind, "holds": within(held)}
    text = repr(value)
    return kind if _ADDRESS.search(text) else {**kind, "text": text}


def _is_array_like(value: Any) -> bool:
    return hasattr(value, "__array__") and not callable(value) and not _of_library(value)


def _of_library(value: Any) -> bool:
    """Whether it is TensorFlow's, Keras' or this package's, or of a class made from theirs."""
    modules = {each.__module__.partition(".")[0] for each in type(value).__mro__}
    return not modules.isdisjoint(_LIBRARIES)


def _content(cell: types.CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # not filled yet
        return None


def _name(value: Any) -> str:
    if isinstance(value, types.ModuleType):
        return value.__name__
    return f"{value.__module__}.{value.__qualname__}"


def _vocabularies(model: Any) -> list[Any]:
    """Of each layer that has one: `TextVectorization`, `StringLookup`, `IntegerLookup`.

    Those that were adapted have it neither in their settings nor among their variables.
    """
    if hasattr(model, "get_vocabulary"):
        try:
            return [list(model.get_vocabulary())]
        except Exception:  # not adapted yet
            return [None]
    inner = [*getattr(model, "layers", ()), getattr(model, "layer", None)]
    return [each for layer in inner if layer is not None for each in _vocabularies(layer)]


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
