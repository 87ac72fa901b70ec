"""Backups as files, without a model: whatever is damaged is noticed, and an older one is read."""

import contextlib
import hashlib
import itertools
import json
import re
import shutil
import warnings

import numpy as np
import pytest

from tests.support import file_faults
from tests.support.file_faults import Killed, faults, full, full_from_then_on, killed
from tfmlselect.callbacks import backup_files

FACTS = {"seed": 0, "name": "a run", "in_force": {"pressure": 4.5}}
ARRAYS = [("model/0", np.arange(3, dtype="float32")), ("owed", np.zeros(2))]
NEWEST = "epoch-00000002"


def write(directory, *epochs):
    for epoch in epochs:
        backup_files.write(directory, epoch, ARRAYS, FACTS)


def read(directory, needed=()):
    """The epoch that is read, and what is warned of; what was read must be as it was written."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        backup = backup_files.read(directory, needed)
    facts = dict(backup.facts)
    epoch = facts.pop("epoch")
    assert facts == FACTS
    for name, array in ARRAYS:
        np.testing.assert_array_equal(backup.arrays[name], array, strict=True)
    return epoch, [str(each.message) for each in caught]


def edit(place, change, checksum):
    """Changes a manifest; `checksum` "right" for the new content, or None for the old format."""
    file = place / "manifest.json"
    manifest = json.loads(file.read_text(encoding="utf-8"))
    del manifest["sha256"]
    if checksum is None:
        manifest["format"] = 1
    change(manifest)
    if checksum == "right":
        text = json.dumps(manifest, sort_keys=True).encode()
        manifest["sha256"] = hashlib.sha256(text).hexdigest()
    file.write_text(json.dumps(manifest), encoding="utf-8")


def damaged(file, bits):
    """Writes a file anew with one bit flipped, for `bits` bits of each byte; says which byte."""
    whole = file.read_bytes()
    for place, byte in enumerate(whole):
        for bit in range(bits):
            flipped = byte ^ 1 << (place + bit) % 8
            file.write_bytes(whole[:place] + bytes([flipped]) + whole[place + 1 :])
            yield place
    file.write_bytes(whole)


EACH_BYTE = pytest.mark.parametrize(
    "bits", [1, pytest.param(8, marks=pytest.mark.full)], ids=["one of 8", "all 8"]
)


@EACH_BYTE
@pytest.mark.parametrize("name", ["manifest.json", "00000.npy", "00001.npy"])
def test_a_flipped_bit_is_noticed_in_each_byte(tmp_path, name, bits):
    """And the older backup is read, with a warning that names the damaged one."""
    write(tmp_path, 1, 2)
    for place in damaged(tmp_path / NEWEST / name, bits):
        epoch, said = read(tmp_path)
        assert epoch == 1, place
        assert re.search(rf"passed over .* Received: {NEWEST}: .*{name}.*00000001\.$", *said)
    assert read(tmp_path) == (2, [])


def test_a_flipped_bit_of_the_marker_harms_nothing(tmp_path):
    write(tmp_path, 1, 2)
    (tmp_path / NEWEST / "tfmlselect-backup.txt").write_bytes(b"")
    assert read(tmp_path) == (2, [])
    write(tmp_path, 3, 4)
    assert backup_files.epochs(tmp_path) == [4, 3]


@EACH_BYTE
def test_a_flipped_bit_of_a_manifest_without_checksum(tmp_path, bits):
    """As earlier versions wrote it: not all is noticed, but the epoch is, and no error is bare."""
    write(tmp_path, 1, 2)
    edit(tmp_path / NEWEST, lambda manifest: None, None)
    for _ in damaged(tmp_path / NEWEST / "manifest.json", bits):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            backup = backup_files.read(tmp_path)
        assert backup.facts["epoch"] in (1, 2)


def without(*path):
    def change(manifest):
        for key in path[:-1]:
            manifest = manifest[key]
        del manifest[path[-1]]

    return change


def changed(value, *path):
    def change(manifest):
        for key in path[:-1]:
            manifest = manifest[key]
        manifest[path[-1]] = value

    return change


EDITS = {
    "no format": without("format"),
    "format of another version": changed(3, "format"),
    "format of truth": changed(True, "format"),
    "no epoch": without("epoch"),
    "another epoch": changed(7, "epoch"),
    "epoch as text": changed("2", "epoch"),
    "no facts": without("facts"),
    "facts as a list": changed([], "facts"),
    "no arrays": without("arrays"),
    "arrays as a list": changed([], "arrays"),
    "an array that is a number": changed(3, "arrays", "owed"),
    "an array without file": without("arrays", "owed", "file"),
    "an array without dtype": without("arrays", "owed", "dtype"),
    "an array without checksum": without("arrays", "owed", "sha256"),
    "a file that is a number": changed(0, "arrays", "owed", "file"),
    "a file above": changed("../secret.npy", "arrays", "owed", "file"),
    "a file in another backup": changed("../epoch-00000001/00001.npy", "arrays", "owed", "file"),
    "a file that is not there": changed("00009.npy", "arrays", "owed", "file"),
    "the manifest itself": changed("manifest.json", "arrays", "owed", "file"),
    "a dtype that is none": changed("float31", "arrays", "owed", "dtype"),
    "a dtype of another size": changed("complex128", "arrays", "model/0", "dtype"),
    "an array that is needed": without("arrays", "owed"),
}


@pytest.mark.parametrize("checksum", ["right", None])
@pytest.mark.parametrize("kind", EDITS)
def test_a_manifest_that_was_edited(tmp_path, kind, checksum):
    """It reads no file from elsewhere, and no error is bare."""
    write(tmp_path, 1, 2)
    secret = tmp_path / "secret.npy"
    np.save(secret, np.zeros(2))
    edit(tmp_path / NEWEST, EDITS[kind], checksum)
    epoch, said = read(tmp_path, needed=("owed",))
    assert epoch == 1
    assert re.search(rf"Received: {NEWEST}: .*\. Training goes on from epoch-00000001\.$", *said)


@pytest.mark.parametrize("content", [b"", b"[]", b"3", b"null", b"\xff\xfe", b"[" * 100_000, b"{}"])
@pytest.mark.parametrize("marker", [True, False], ids=["with marker", "without"])
def test_a_manifest_that_is_none(tmp_path, content, marker):
    """Without our marker only what cannot be decoded may once have been ours."""
    write(tmp_path, 1, 2)
    if not marker:
        (tmp_path / NEWEST / "tfmlselect-backup.txt").unlink()
    (tmp_path / NEWEST / "manifest.json").write_bytes(content)
    epoch, said = read(tmp_path)
    assert epoch == 1
    if marker or content not in (b"[]", b"3", b"null", b"{}"):
        assert re.search(rf"Received: {NEWEST}: manifest.json", *said)


LOOK_ALIKES = [
    b"not JSON",
    b"\xff",
    b'{"arrays": 1}',
    b'{"facts": 1}',
    b'{"format": 1, "epoch": 7}',
]


@pytest.mark.parametrize("content", LOOK_ALIKES)
def test_what_others_gave_the_name_of_a_backup_is_passed_over(tmp_path, content):
    """It has no marker, and its manifest is no list of our files."""
    place = tmp_path / "epoch-00000007"
    place.mkdir()
    (place / "manifest.json").write_bytes(content)
    assert backup_files.read(tmp_path) is None
    assert backup_files.epochs(tmp_path) == []
    write(tmp_path, 1, 2, 3)
    assert read(tmp_path) == (3, [])
    assert [(each.name, each.read_bytes()) for each in place.iterdir()] == [
        ("manifest.json", content)
    ]


@pytest.mark.parametrize("part", ["format", "epoch", "facts", "arrays"])
def test_one_of_before_there_were_markers_with_a_damaged_part_is_not(tmp_path, part):
    write(tmp_path, 1, 2)
    (tmp_path / NEWEST / "tfmlselect-backup.txt").unlink()
    edit(tmp_path / NEWEST, without(part), None)
    epoch, said = read(tmp_path)
    assert epoch == 1
    assert re.search(rf"Received: {NEWEST}: manifest.json", *said)


def test_where_none_is_whole(tmp_path):
    write(tmp_path, 1, 2)
    for epoch in (1, 2):
        edit(tmp_path / f"epoch-{epoch:08d}", without("facts"), "right")
    with pytest.raises(
        ValueError, match=r"No backup can be read. Received: .*000002: .*000001: .*, move "
    ):
        backup_files.read(tmp_path)
    assert backup_files.epochs(tmp_path) == [2, 1]  # none of them is removed, or begun anew beside


def test_a_file_of_a_lost_backup(tmp_path):
    write(tmp_path, 1, 2)
    (tmp_path / NEWEST / "manifest.json").unlink()
    assert read(tmp_path)[0] == 1
    write(tmp_path, 2)
    assert read(tmp_path) == (2, [])


@pytest.fixture(name="_no_waiting")
def no_waiting():
    with file_faults.without_waiting():
        yield


def check_written(root, epoch, situation):
    """What is there once it was written without a fault."""
    file_faults.write(root, epoch, 1)
    after = (file_faults.allowed(situation)[1], file_faults.names_after(situation))
    assert file_faults.found(root) == after


@pytest.mark.usefixtures("_no_waiting")
@pytest.mark.parametrize("fault", [full, full_from_then_on], ids=lambda f: f.__name__)
@pytest.mark.parametrize("situation", file_faults.SITUATIONS)
def test_a_disk_that_is_full_at_each_operation(tmp_path, situation, fault):
    """What was there stays, or what was to be written is; what was begun makes room again."""
    for at in itertools.count():
        root = tmp_path / str(at)
        epoch = file_faults.prepare(root, situation)
        with faults(fault, at) as operations, contextlib.suppress(OSError):
            file_faults.write(root, epoch, 1)
        read, names = file_faults.found(root)
        assert read in file_faults.allowed(situation)
        if fault is full_from_then_on:
            assert not {name for name in names if re.match(r"(writing|replaced)-0", name)}
        check_written(root, epoch, situation)
        if at >= len(operations):
            break
    assert at > 20


@pytest.mark.usefixtures("_no_waiting")
@pytest.mark.parametrize(
    ("situation", "times"),
    [
        *((situation, 1) for situation in file_faults.SITUATIONS),
        pytest.param("the only one, again", 2, marks=pytest.mark.full),
    ],
)
def test_killed_at_each_operation(tmp_path, situation, times):
    """And the one that goes on, at each of its; nothing of ours is left over at the end."""
    tried, epoch = 0, file_faults.prepare(tmp_path / "start", situation)
    for first in itertools.count():
        # Every third, another third each time: all of them take minutes.
        for second in itertools.count(first % 3, 3) if times == 2 else [None]:
            root = tmp_path / "run"
            shutil.rmtree(root, ignore_errors=True)
            shutil.copytree(tmp_path / "start", root)
            whole = []
            for at in (first, second)[:times]:
                with faults(killed, at) as operations, contextlib.suppress(Killed):
                    file_faults.write(root, epoch, 1)
                whole.append(len(operations) <= at)
                assert file_faults.found(root)[0] in file_faults.allowed(situation)
            check_written(root, epoch, situation)
            tried += 1
            if whole[-1]:
                break
        if whole[0]:
            break
    assert tried > {1: 20, 2: 200}[times]
