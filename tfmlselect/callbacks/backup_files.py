"""Named arrays and a few facts, kept in a directory so that a crash at any moment loses nothing.

Each backup is a directory of its own: one `.npy` file an array, and `manifest.json` with the facts
and a checksum of each file. It is written beside its place, flushed to the disk and renamed, so
that it is there whole or not at all. The newest two are kept: if one is damaged, the other serves.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

FORMAT = 1
KEPT = 2
_PREFIX, _ASIDE = "epoch-", "writing-"


class Backup(NamedTuple):
    """What one directory held."""

    facts: dict[str, Any]
    arrays: dict[str, np.ndarray]


def write(directory: str, epoch: int, arrays: Iterable[tuple[str, Any]], facts: dict) -> None:
    """Writes a backup and removes all but the newest `KEPT`.

    Args:
        directory: that all backups of a run lie in; made where it is missing.
        epoch: epochs completed: the backup's name.
        arrays: names and variables or arrays; read one after the other, to hold one in memory.
        facts: JSON-serialisable.
    """
    root = Path(directory)
    root.mkdir(parents=True, exist_ok=True)
    for leftover in root.glob(f"{_ASIDE}*"):
        shutil.rmtree(leftover)
    aside = root / f"{_ASIDE}{epoch:08d}"
    aside.mkdir()
    files = {}
    for number, (name, value) in enumerate(arrays):
        # Of a variable that has a copy in each replica, NumPy itself makes no array.
        array = value.numpy() if hasattr(value, "numpy") else np.asarray(value)
        file = aside / f"{number:05d}.npy"
        with open(file, "wb") as stream:
            # bfloat16 and the like, which .npy does not know, are kept as bits.
            np.save(stream, array.view(np.uint16) if array.dtype.kind == "V" else array)
            _flush(stream)
        files[name] = {"file": file.name, "dtype": array.dtype.name, "sha256": _checksum(file)}
    with open(aside / "manifest.json", "w", encoding="utf-8") as stream:
        json.dump({"format": FORMAT, "epoch": epoch, "facts": facts, "arrays": files}, stream)
        _flush(stream)
    _flush_directory(aside)
    place = root / f"{_PREFIX}{epoch:08d}"
    if place.exists():  # of an earlier run of this epoch
        shutil.rmtree(place)
    os.replace(aside, place)
    _flush_directory(root)
    for old in _places(root)[KEPT:]:
        shutil.rmtree(old)


def exists(directory: str) -> bool:
    """Whether the directory holds a backup, good or damaged."""
    return bool(_places(Path(directory)))


def read(directory: str) -> Backup | None:
    """The newest backup that is whole; None where there never was one.

    Raises:
        ValueError: no backup can be read: all are damaged, or of another format.

    Warns:
        UserWarning: the newest one cannot be read, and an older one is taken.
    """
    problems = []
    for place in _places(Path(directory)):
        try:
            backup = _read(place)
        except (OSError, KeyError, TypeError, ValueError) as error:
            problems.append(f"{place.name}: {error}")
            continue
        if problems:
            warnings.warn(
                "A backup that cannot be read is passed over for an older one. Received: "
                f"{'; '.join(problems)}. Training goes on from {place.name}.",
                stacklevel=3,
            )
        return backup
    if problems:
        raise ValueError(
            "No backup can be read. Received: "
            f"{'; '.join(problems)}. Empty the directory {str(directory)!r} to start anew."
        )
    return None


def _read(place: Path) -> Backup:
    manifest = json.loads((place / "manifest.json").read_text(encoding="utf-8"))
    if manifest["format"] != FORMAT:
        raise ValueError(f"format {manifest['format']}, this version reads {FORMAT}")
    arrays = {}
    for name, entry in manifest["arrays"].items():
        file = place / entry["file"]
        if _checksum(file) != entry["sha256"]:
            raise ValueError(f"{file.name} has another checksum than the manifest says")
        array = np.load(file, allow_pickle=False)
        dtype = tf.as_dtype(entry["dtype"]).as_numpy_dtype
        arrays[name] = array if array.dtype == dtype else array.view(dtype)
    return Backup({**manifest["facts"], "epoch": manifest["epoch"]}, arrays)


def _places(root: Path) -> list[Path]:
    """The backups, newest first."""
    return sorted(root.glob(f"{_PREFIX}*"), reverse=True)


def _checksum(file: Path) -> str:
    digest = hashlib.sha256()
    with open(file, "rb") as stream:
        while part := stream.read(1 << 20):
            digest.update(part)
    return digest.hexdigest()


def _flush(stream: Any) -> None:
    stream.flush()
    os.fsync(stream.fileno())


def _flush_directory(place: Path) -> None:
    """Makes renames in a directory lasting, where the system can open directories."""
    if os.name == "posix":
        handle = os.open(place, os.O_RDONLY)
        os.fsync(handle)
        os.close(handle)
