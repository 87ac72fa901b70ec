"""Named arrays and a few facts, kept in a directory so that a crash at any moment loses nothing.

Each backup is a directory of its own: one `.npy` file an array, and `manifest.json` with the facts
and checksums, of each file and of itself. It is written beside its place, flushed to the disk and
renamed, so that it is there whole or not at all; one of the same epoch is kept until then. The
newest two are kept: if one is damaged, the other serves.

The directory may hold what others wrote. Only directories of our own are moved or removed: of an
exact name, with our marker or manifest, and with nothing else in them.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from tfmlselect._warn import warn

FORMAT = 2  # 1 had no checksum of the manifest
KEPT = 2
_PREFIX, _ASIDE, _REPLACED = "epoch-", "writing-", "replaced-"
_MANIFEST, _MARKER = "manifest.json", "tfmlselect-backup.txt"
_MARK = "A backup of tfmlselect, which removes this directory when newer ones are there.\n"
_ARRAY = re.compile(r"[0-9]{5,}\.npy")
_PARTS = {"format", "epoch", "facts", "arrays"}  # of each manifest


class Backup(NamedTuple):
    """What one directory held."""

    facts: dict[str, Any]
    arrays: dict[str, np.ndarray]


def write(directory: str, epoch: int, arrays: Iterable[tuple[str, Any]], facts: dict) -> None:
    """Writes a backup and removes what is older than the newest `KEPT`.

    Args:
        directory: that all backups of a run lie in; made where it is missing.
        epoch: epochs completed: the backup's name.
        arrays: names and variables or arrays; read one after the other, to hold one in memory.
        facts: JSON-serialisable.

    What is older and cannot be removed stays, and the next call tries again.

    Raises:
        OSError: it could not be written; what was there before still is.
    """
    root = Path(directory)
    os.makedirs(root, exist_ok=True)
    _tidy(root)
    in_the_way = obstacles(directory, range(epoch, epoch + 1))
    if in_the_way:
        raise FileExistsError(f"{' and '.join(in_the_way)} in {str(root)!r} is not ours")
    aside, place, replaced = (
        root / f"{prefix}{epoch:08d}" for prefix in (_ASIDE, _PREFIX, _REPLACED)
    )
    try:
        _fill(aside, epoch, arrays, facts)
        if place.exists():  # of an earlier run of this epoch
            os.replace(place, replaced)
        os.replace(aside, place)
        _flush_directory(root)
    except OSError:
        with contextlib.suppress(OSError):  # what was there is back, and there is room for others
            _tidy(root)
        raise
    for old in _named(root, _REPLACED):
        _retire(old)
    older = [each for each in _places(root) if _epoch_of(each) <= epoch]
    kept = sorted({_epoch_of(each) for each in older})[-KEPT:]
    for old in older:
        if _epoch_of(old) not in kept:
            _retire(old)


def epochs(directory: str) -> list[int]:
    """The epochs of the backups in a directory, good or damaged, the newest first."""
    return [_epoch_of(place) for place in _places(Path(directory))]


def obstacles(directory: str, wanted: range) -> list[str]:
    """Names of what is not ours and stands where backups of some epochs are to be written."""
    root = Path(directory)
    return [
        place.name
        for place in _named(root, _PREFIX, _ASIDE, _REPLACED)
        if _epoch_of(place) in wanted and not _is_ours(place)
    ]


def read(directory: str, needed: Collection[str] = ()) -> Backup | None:
    """The newest backup that is whole; None where there never was one.

    Args:
        directory: that was written into.
        needed: names of arrays that every backup of the caller has.

    Raises:
        ValueError: no backup can be read: all are damaged, or of another format.

    Warns:
        UserWarning: the newest one cannot be read, and an older one is taken.
    """
    problems = []
    for place in _places(Path(directory)):
        try:
            backup = _read(place, needed)
        except (OSError, ValueError) as error:
            problems.append(f"{place.name}: {error}")
            continue
        if problems:
            warn(
                "A backup that cannot be read is passed over for an older one. Received: "
                f"{'; '.join(problems)}. Training goes on from {place.name}.",
            )
        return backup
    if problems:
        raise ValueError(
            "No backup can be read. Received: "
            f"{'; '.join(problems)}. To start anew, move what is named here away from "
            f"{str(directory)!r}, or name another directory."
        )
    return None


def _fill(
    aside: Path, epoch: int, arrays: Iterable[tuple[str, Any]], facts: dict[str, Any]
) -> None:
    """Writes all files of a backup into a new directory."""
    os.mkdir(aside)
    with open(aside / _MARKER, "w", encoding="utf-8") as stream:  # first: from now on it is ours
        stream.write(_MARK)
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
    manifest = {"format": FORMAT, "epoch": epoch, "facts": facts, "arrays": files}
    with open(aside / _MANIFEST, "w", encoding="utf-8") as stream:
        json.dump({**manifest, "sha256": _checksum_of(manifest)}, stream)
        _flush(stream)
    _flush_directory(aside)


def _read(place: Path, needed: Collection[str]) -> Backup:
    """What one directory holds.

    Raises:
        OSError, ValueError: it is damaged; says in which way.
    """
    manifest = _checked_manifest(place, needed)
    arrays = {}
    for name, entry in manifest["arrays"].items():
        file = place / entry["file"]
        if _checksum(file) != entry["sha256"]:
            raise ValueError(f"{file.name} has another checksum than the manifest says")
        array = np.load(file, allow_pickle=False)
        try:
            dtype = tf.as_dtype(entry["dtype"]).as_numpy_dtype
            arrays[name] = array if array.dtype == dtype else array.view(dtype)
        except TypeError as error:
            raise ValueError(f"{file.name} is said to hold {entry['dtype']}") from error
    return Backup({**manifest["facts"], "epoch": manifest["epoch"]}, arrays)


def _checked_manifest(place: Path, needed: Collection[str]) -> dict[str, Any]:
    """A manifest whose every part is what it must be; raises a ValueError otherwise."""
    try:
        manifest = json.loads((place / _MANIFEST).read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{_MANIFEST} cannot be decoded") from error

    def check(ok: Any, what: str) -> None:
        if not ok:
            raise ValueError(f"{_MANIFEST} {what}")

    check(isinstance(manifest, dict), "holds no backup")
    written, said = manifest.get("format"), manifest.pop("sha256", None)
    if said is not None:
        check(said == _checksum_of(manifest), "has another checksum than it says")
    formats = (FORMAT,) if said is not None else (1,)
    check(type(written) is int and written in formats, f"has the format {written}")
    epoch, arrays = manifest.get("epoch"), manifest.get("arrays")
    check(type(epoch) is int and epoch == _epoch_of(place), f"is of epoch {epoch}")
    check(isinstance(manifest.get("facts"), dict), "has no facts")
    check(isinstance(arrays, dict), "has no arrays")
    for name, entry in arrays.items():
        known = isinstance(entry, dict) and {"file", "dtype", "sha256"} <= entry.keys()
        check(known and all(isinstance(each, str) for each in entry.values()), f"lacks {name}")
        # Nothing is read from elsewhere.
        check(_ARRAY.fullmatch(entry["file"]), f"has {name} in {entry['file']!r}")
    for name in needed:
        check(name in arrays, f"lacks {name}")
    return manifest


def _places(root: Path) -> list[Path]:
    """The backups, good or damaged, newest first; of an epoch first the one that replaces."""
    found = filter(_looks_like_one, _named(root, _PREFIX, _REPLACED))
    return sorted(found, key=lambda place: (-_epoch_of(place), place.name))


def _named(root: Path, *prefixes: str) -> list[Path]:
    """What has a name of our form, whoever made it."""
    form = re.compile(f"({'|'.join(prefixes)})[0-9]{{8}}")
    return [each for each in root.iterdir() if form.fullmatch(each.name)] if root.is_dir() else []


def _epoch_of(place: Path) -> int:
    return int(place.name[-8:])


def _is_ours(place: Path) -> bool:
    """Whether it is a directory that we wrote, and all in it too: only then may it go."""
    if place.is_symlink() or not place.is_dir():
        return False
    names = {each.name for each in place.iterdir()}
    if not names:  # we make it, and are killed before the marker is in it; nothing is lost with it
        return place.name.startswith(_ASIDE)
    if not all(name in (_MARKER, _MANIFEST) or _ARRAY.fullmatch(name) for name in names):
        return False
    # Backups of before there were markers are known by their manifest.
    if _MARKER in names:
        return True
    with contextlib.suppress(ValueError):
        return _parsed(place).keys() >= _PARTS
    return False


def _looks_like_one(place: Path) -> bool:
    """Whether it is a backup, may be a damaged one: no run starts anew beside it.

    One without a marker, of before there were any, is known by its manifest, of which one part may
    be damaged; where that cannot be read at all, by its arrays.
    """
    if (place / _MARKER).exists():
        return True
    try:
        return len(_PARTS & _parsed(place).keys()) >= len(_PARTS) - 1
    except ValueError:
        return any(_ARRAY.fullmatch(each.name) for each in place.iterdir())


def _parsed(place: Path) -> dict[str, Any]:
    """The manifest; empty where there is none, or another's.

    Raises:
        ValueError: a manifest that is no JSON, or cannot be read.
    """
    try:
        manifest = json.loads((place / _MANIFEST).read_bytes())
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return {}
    except (OSError, RecursionError) as error:
        raise ValueError(f"{_MANIFEST} cannot be read") from error
    return manifest if isinstance(manifest, dict) else {}


def _tidy(root: Path) -> None:
    """Removes what was being written when a process was killed; puts back what was replaced."""
    for leftover in filter(_is_ours, _named(root, _ASIDE)):
        with contextlib.suppress(OSError):
            _remove(leftover)
    for replaced in filter(_is_ours, _named(root, _REPLACED)):
        place = replaced.with_name(replaced.name.replace(_REPLACED, _PREFIX))
        if not os.path.lexists(place):
            os.replace(replaced, place)
        elif _is_ours(place):  # the new one is in place
            _retire(replaced)


def _retire(place: Path) -> None:
    """Removes a backup, if it is ours and can be; under its own name it is never half there."""
    aside = place.with_name(f"{_ASIDE}{_epoch_of(place):08d}")
    with contextlib.suppress(OSError):
        if _is_ours(place):
            os.replace(place, aside)
            _remove(aside)


def _remove(place: Path) -> None:
    """Removes a directory of ours; what makes it ours goes last."""
    for name in sorted(os.listdir(place), key=_last_of_all):
        os.unlink(place / name)
    os.rmdir(place)


def _last_of_all(name: str) -> tuple[bool, bool]:
    return name == _MARKER, name == _MANIFEST


def _checksum_of(manifest: dict[str, Any]) -> str:
    """Of all that it says, however it is written down."""
    return hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()


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
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
