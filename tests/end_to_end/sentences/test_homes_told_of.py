"""Homes, keys and stores that cannot be used are told of in one sentence that says what to do next."""

import os
from pathlib import Path

import pytest

from tests.support.misfortunes import (
    Case,
    Scene,
    alone,
    doing,
    home_is_a_file,
    home_owned,
    newer_store,
    passphrase,
    require_told,
    with_file,
    without_home,
)

CASES = (
    Case(
        "the passphrase is wrong",
        passphrase("another one"),
        3,
        "The device passphrase is wrong, or the key file was altered. Try again.",
    ),
    Case(
        "the passphrase file is empty",
        passphrase(""),
        3,
        "There is no passphrase on the first line of {here}/other.",
    ),
    Case(
        "the passphrase file is not there",
        passphrase(None),
        3,
        "The passphrase file {here}/absent cannot be read: No such file or directory.",
    ),
    Case(
        "there is no passphrase and no terminal",
        alone("run"),
        3,
        "A passphrase is needed and there is no terminal to ask on. Give --passphrase-file FILE, or - to pipe it in.",
    ),
    Case(
        "there is no home",
        without_home("list"),
        2,
        "There is no device in {home}. Run `nuthatch init`, or `nuthatch join` to add one.",
    ),
    Case(
        "the home is a file",
        home_is_a_file("list"),
        1,
        "{home} is not a directory, so no device can live there. Choose another --home.",
    ),
    Case(
        "a device shall be made in a file",
        home_is_a_file("init", "--name", "x"),
        1,
        "{home} is not a directory, so no device can live there. Choose another --home.",
    ),
    Case(
        "a second device shall be made",
        doing("init", "--name", "x"),
        5,
        "{home} already holds a device (device.key is there); nothing was changed. Choose another --home.",
    ),
    Case(
        "a used home shall join",
        doing("join", "CODE", "--name", "x"),
        5,
        "{home} already holds a device (device.key is there); nothing was changed. Choose another --home.",
    ),
    Case(
        "another process owns the home",
        home_owned,
        1,
        "Another process owns the home {home}. Stop it, or choose another --home.",
    ),
    Case(
        "no node runs for a script",
        alone("list"),
        4,
        "No node runs on this home. Start one with `nuthatch run`, or give --passphrase-file to work without one.",
    ),
    Case(
        "no node runs to pair with",
        alone("pair"),
        4,
        "No node runs on this home. Start one with `nuthatch run`.",
    ),
    Case(
        "no node runs to follow",
        alone("events"),
        4,
        "No node runs on this home. Start one with `nuthatch run`.",
    ),
    Case(
        "the key file is missing",
        with_file("device.key", Path.unlink, "list"),
        2,
        "{home} holds a store, but the key file device.key that opens it is missing. Restore it from a backup.",
    ),
    Case(
        "the key file is garbled",
        with_file("device.key", lambda path: path.write_bytes(b"garbage"), "list"),
        2,
        "The key file {home}/device.key is damaged or cut off. Restore it from a backup.",
    ),
    Case(
        "the store is missing",
        with_file("store.db", Path.unlink, "list"),
        1,
        "The store store.db is missing. Restore a backup of it, or move the home away and join anew.",
    ),
    Case(
        "the store is empty",
        with_file("store.db", lambda path: os.truncate(path, 0), "list"),
        1,
        "The store store.db is empty or damaged. Restore a backup, or move it away and join anew.",
    ),
    Case(
        "the store is truncated",
        with_file("store.db", lambda path: os.truncate(path, 5000), "list"),
        1,
        "The store is damaged; nothing was changed. Restore a backup or pair this device anew.",
    ),
    Case(
        "a newer version wrote the store",
        newer_store,
        1,
        "This store was written by a newer version of Nuthatch; update it on this device.",
    ),
    Case(
        "the settings are no TOML",
        with_file("config.toml", lambda path: path.write_text("[run\n"), "list"),
        2,
        "{home}/config.toml is not valid TOML: Expected ']' at the end of a table declaration (at line 1, column 5).",
    ),
    Case(
        "a setting is misspelt",
        with_file("config.toml", lambda path: path.write_text("[run]\nlisen = 'x'\n"), "list"),
        2,
        "{home}/config.toml: There is no setting 'run.lisen'. Did you mean run.listen? `nuthatch config "
        "show` lists all of them.",
    ),
)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.when)
def test_the_person_reads_what_to_do_when(case: Case, scene: Scene, capfd: pytest.CaptureFixture[str]) -> None:
    require_told(case, scene, capfd)
