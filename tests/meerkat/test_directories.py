"""An import of several files is one import: atomic, ordered, and it says where cursors went."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable
from os import PathLike
from pathlib import Path

import pytest

import mobstore
from maintenance.support import rows_of, stores_of
from meerkat.installations import change, forge_duplicate, installation, numbers, state, write_mob
from mobstore.meerkat import ImportedFile, ImportReport, clashes, export_meerkat, import_meerkat
from mobstore.testing import samples

engines = pytest.mark.parametrize("engine", ["memory", "sqlite"])
Source = str | PathLike[str] | Iterable[str | PathLike[str]]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return installation(tmp_path / "source")


def imported(source: Source, *, skip: bool = False, check: bool = True) -> ImportReport:
    """Import files into a new store; check that the store is sound."""

    async def work() -> ImportReport:
        async with mobstore.open_stores("memory:") as stores:
            report = await import_meerkat(source, stores, skip_unreadable=skip, check=check)
            assert len(await stores.events.replay_all()) == report.events
            assert not (await mobstore.verify(stores)).problems
            return report

    return asyncio.run(work())


def rejected(
    source: Source,
    kind: type[mobstore.MobStoreError] = mobstore.ReadFailedError,
    *,
    skip: bool = False,
    check: bool = True,
) -> str:
    """Import files that must be rejected; check that the store is as before, return the message."""

    async def work() -> str:
        async with mobstore.open_stores("memory:") as stores:
            rows = rows_of(stores)
            with pytest.raises(kind) as caught:
                await import_meerkat(source, stores, skip_unreadable=skip, check=check)
            assert rows_of(stores) == rows
            return caught.value.detail

    return asyncio.run(work())


# Order and cursors -------------------------------------------------------------------------------


@engines
def test_all_files_of_a_directory_in_the_order_of_their_names(
    engine: str, folder: Path, tmp_path: Path
) -> None:
    (folder / "notes.txt").write_text("not a database", encoding="utf-8")
    (folder / "old.db").mkdir()
    write_mob(folder / "old.db" / "deep.db", "deep")
    (folder / "link.db").symlink_to(".")
    before = state(folder)

    async def work() -> None:
        steps: list[tuple[int, int]] = []
        async with stores_of(engine, tmp_path) as stores:
            report = await import_meerkat(
                folder, stores, progress=lambda done, total: steps.append((done, total))
            )
            assert numbers(report) == (6, 3, 3, 2)
            assert report.files == [
                ImportedFile(str(folder / "Attic.db"), 0, 1, 2, 2, 1, 1, 0),
                ImportedFile(str(folder / "desk.db"), 2, 2, 7, 3, 2, 1, 0),
                ImportedFile(str(folder / "m%2Ft.db"), 13, 5, 5, 1, 0, 1, 0),
                ImportedFile(str(folder / "realm_profiles.db"), 18, 0, 0, 0, 0, 0, 2),
            ]
            events = await stores.events.replay_all()
            assert [(event.mob_id, event.cursor) for event in events] == [
                ("Attic", 1), ("Attic", 2), ("desk", 4), ("desk", 5), ("desk", 9), ("m/t", 18),
            ]  # fmt: skip
            for event in events:
                (file,) = (file for file in report.files if _mob_of(file) == event.mob_id)
                assert int(samples.tag_of(event.kind)) + file.offset == event.cursor
            following = await stores.events.append(samples.event())
            assert following.cursor == 19
            assert [run.run_id.int for run in await stores.runs.list_runs("desk")] == [1, 2]
            await stores.runs.create_run(samples.make_run(4, mob="desk"))
            assert not (await mobstore.verify(stores)).problems
        assert steps[-1] == (18, 18)
        assert steps == sorted(steps)

    asyncio.run(work())
    assert state(folder) == before


def _mob_of(file: ImportedFile) -> str:
    return Path(file.path).stem.replace("%2F", "/")


def test_files_in_the_order_in_which_they_are_passed(folder: Path) -> None:
    paths = (folder / "m%2Ft.db", str(folder / "Attic.db"))
    report = imported(path for path in paths)
    assert [(file.path, file.offset) for file in report.files] == [
        (str(paths[0]), 0),
        (str(paths[1]), 5),
    ]


def test_a_directory_among_files(folder: Path, tmp_path: Path) -> None:
    other = write_mob(tmp_path / "other.db", "other")
    report = imported([other, folder])
    assert [Path(file.path).name for file in report.files] == [
        "other.db", "Attic.db", "desk.db", "m%2Ft.db", "realm_profiles.db",
    ]  # fmt: skip


def test_rows_left_out_name_their_file(folder: Path) -> None:
    change(folder / "desk.db", "UPDATE mob_events SET event_json = x'7b7d' WHERE cursor = 7")
    report = imported(folder, skip=True)
    (row,) = report.left_out
    assert str(row).startswith("desk.db: table mob_events, key 7: ")
    assert report.files[1] == (str(folder / "desk.db"), 2, 2, 3, 2, 2, 1, 0)
    assert report.files[2].offset == 13
    said = rejected(folder, mobstore.SerializationError)
    assert said.startswith("desk.db: table mob_events, key 7: ")


def test_tables_of_other_releases_are_added_up(folder: Path) -> None:
    for name in ("desk.db", "Attic.db"):
        change(folder / name, "CREATE TABLE leases (x); INSERT INTO leases VALUES (1), (2)")
    assert imported(folder).other_tables == {"leases": 4}


def test_cursors_that_are_used_up(folder: Path) -> None:
    last = 2**63 - 2
    write_mob(folder / "Attic.db.new", "Attic", (last,)).replace(folder / "Attic.db")
    said = rejected(folder, mobstore.InternalError)
    assert "event 2 of" in said
    assert "desk.db would have a cursor above 2**63-2" in said
    without = write_mob(folder / "without.db", "", (), next_cursor=last)
    report = imported([folder / "Attic.db", without, folder / "realm_profiles.db"])
    assert [file.offset for file in report.files] == [0, last, last]


@pytest.mark.parametrize("check", [True, False])
def test_only_into_an_empty_store(*, check: bool, folder: Path) -> None:
    async def work() -> None:
        async with mobstore.open_stores("memory:") as stores:
            await stores.events.append(samples.event("old"))
            with pytest.raises(mobstore.InternalError, match="is not empty"):
                await import_meerkat(folder, stores, check=check)

    asyncio.run(work())


# Several files with one name ---------------------------------------------------------------------


@pytest.mark.parametrize("skip", [False, True])
def test_two_files_with_one_mob(*, skip: bool, folder: Path) -> None:
    shutil.copy(folder / "desk.db", folder / "desk (copy).db")
    said = rejected(folder, mobstore.InternalError, skip=skip)
    for run in (1, 2):
        assert f"run {samples.run_id(run)} of desk.db is already in desk (copy).db" in said
    assert said.startswith("nothing was imported, because names are in use: mob desk of desk.db is")


def test_every_name_in_two_files_is_listed(tmp_path: Path) -> None:
    folder = tmp_path / "source"
    folder.mkdir()
    write_mob(folder / "a.db", "a", runs=[1], profiles=["p"], specs=["s"])
    write_mob(folder / "b.db", "b", runs=[1], profiles=["p"], specs=["a"])
    write_mob(folder / "c.db", "b", (), runs=[2], specs=["s"])
    write_mob(folder / "d.db", "d", (), runs=[2], specs=["b"])
    for name, mob in (("e", "one"), ("f", "two"), ("g", "one"), ("j", "three"), ("k", "three")):
        write_mob(folder / f"{name}.db", mob, (1,))
    for number, name in enumerate(("h.db", "i.db"), start=3):
        write_mob(folder / name, "only runs", (), runs=[number])
    said = rejected(folder, mobstore.InternalError)
    listed = said.removeprefix("nothing was imported, because names are in use: ")
    assert listed.partition(". Leave")[0].split("; ") == [
        f"run {samples.run_id(1)} of b.db is already in a.db",
        "mob a of b.db is already in a.db",
        "realm profile p of b.db is already in a file before it",
        "mob b of c.db is already in b.db",
        "mob s of c.db is already in a file before it",
        f"run {samples.run_id(2)} of d.db is already in c.db",
        "mob b of d.db is already in b.db",
        "mob one of g.db is already in e.db",
        "mob only runs of i.db is already in h.db",
        "mob three of k.db is already in j.db",
    ]


def test_a_symbolic_link_to_another_file(folder: Path) -> None:
    (folder / "link.db").symlink_to(folder / "desk.db")
    said = rejected(folder, mobstore.InternalError)
    assert "mob desk of link.db is already in desk.db" in said


def test_the_list_of_names_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = [f"profile {number} {'x' * 100}" for number in range(30)]
    for name in ("a.db", "b.db"):
        write_mob(tmp_path / name, name, profiles=names)
    said = rejected(tmp_path, mobstore.InternalError)
    assert said.count("realm profile") == 15
    assert "; and 15 more. " in said
    assert len(said) < 2000
    monkeypatch.setattr(clashes, "_MOST", 25)
    assert "; and at least 10 more. " in rejected(tmp_path, mobstore.InternalError)


# Into a store that is not empty ------------------------------------------------------------------


async def fill(stores: mobstore.MobStores) -> None:
    """Write a mob with events and a run, a lone spec, and a realm profile."""
    await stores.events.append_batch([samples.event("old")] * 3)
    await stores.runs.create_run(samples.make_run(9, mob="old"))
    await stores.specs.put_spec("planned", samples.definition("planned"))
    await stores.realm_profiles.create("writer", samples.profile())


@engines
def test_into_a_store_that_is_not_empty(engine: str, folder: Path, tmp_path: Path) -> None:
    async def work() -> None:
        async with stores_of(engine, tmp_path) as stores:
            await fill(stores)
            with pytest.raises(mobstore.InternalError, match="not empty"):
                await import_meerkat(folder, stores)
            report = await import_meerkat(folder, stores, into=True)
            assert [file.offset for file in report.files] == [3, 5, 16, 21]
            events = await stores.events.replay_all()
            assert [event.cursor for event in events] == [1, 2, 3, 4, 5, 7, 8, 12, 21]
            assert (await stores.events.append(samples.event())).cursor == 22
            assert await stores.specs.list_specs() == ["Attic", "desk", "m/t", "planned"]
            assert not (await mobstore.verify(stores)).problems

    asyncio.run(work())


@engines
def test_subscribers_see_what_is_imported(engine: str, folder: Path, tmp_path: Path) -> None:
    async def work() -> None:
        async with stores_of(engine, tmp_path) as stores:
            await fill(stores)
            following = stores.events.subscribe(3)
            first = asyncio.ensure_future(anext(following))
            await asyncio.sleep(0)
            await import_meerkat(folder, stores, into=True)
            assert (await asyncio.wait_for(first, 10)).mob_id == "Attic"
            await following.aclose()

    asyncio.run(work())


@engines
def test_names_that_the_store_has_already(engine: str, folder: Path, tmp_path: Path) -> None:
    write_mob(folder / "z.db", "old", (1,), runs=[9], specs=["planned"], profiles=["writer"])
    write_mob(folder / "zz.db", "planned", (1,), runs=[10])

    async def work() -> None:
        async with stores_of(engine, tmp_path) as stores:
            await fill(stores)
            rows = rows_of(stores)
            with pytest.raises(mobstore.InternalError) as caught:
                await import_meerkat(folder, stores, into=True, skip_unreadable=True)
            listed = caught.value.detail.partition(": ")[2].partition(". Leave")[0]
            assert listed.split("; ") == [
                "mob old of z.db is already in the store",
                f"run {samples.run_id(9)} of z.db is already in the store",
                "mob planned of z.db is already in the store or a file before it",
                "realm profile writer of z.db is already in the store or a file before it",
                "mob planned of zz.db is already in the store or a file before it",
            ]
            assert rows_of(stores) == rows

    asyncio.run(work())


def test_into_with_one_file(folder: Path) -> None:
    async def work() -> None:
        async with mobstore.open_stores("memory:") as stores:
            await import_meerkat(folder / "desk.db", stores, into=True)
            with pytest.raises(mobstore.InternalError) as caught:
                await import_meerkat(folder / "desk.db", stores, into=True)
            assert "mob desk of desk.db is already in the store" in caught.value.detail
            report = await import_meerkat(folder / "Attic.db", stores, into=True)
            assert report.files[0].offset == 11

    asyncio.run(work())


# Hostile directories -----------------------------------------------------------------------------


def _text(path: Path) -> None:
    path.write_text("no database", encoding="utf-8")


def _foreign(path: Path) -> None:
    change(path, "CREATE TABLE notes (x)")


def _damaged(path: Path) -> None:
    data = bytearray(write_mob(path, "damaged", range(1, 400)).read_bytes())
    data[4096 * 5 : 4096 * 6] = b"\xff" * 4096
    path.write_bytes(data)


def _ours(path: Path) -> None:
    async def make() -> None:
        async with mobstore.open_stores(f"sqlite:{path}"):
            pass

    asyncio.run(make())


def _newer(path: Path) -> None:
    write_mob(path, "newer")
    change(path, """UPDATE mob_events SET event_json = '{"event":{},"schema_version":10}'""")


def _half(path: Path) -> None:
    path.write_bytes(write_mob(path, "half", range(1, 400)).read_bytes()[:9000])


def _shared_memory(path: Path) -> None:
    """A -shm that was renamed."""
    path.write_bytes(b"\x18\xe2\x2d\0" + bytes(32764))


def _in_the_middle_of_a_write(path: Path) -> None:
    write_mob(path, "middle", range(1, 400))
    script = f"""if True:
        import os, sqlite3
        file = sqlite3.connect({str(path)!r}, isolation_level=None)
        file.execute("PRAGMA journal_mode = DELETE")
        file.execute("PRAGMA cache_size = 1")
        file.execute("BEGIN")
        file.execute("UPDATE mob_events SET event_json = zeroblob(9000)")
        os._exit(0)
    """
    subprocess.run([sys.executable, "-c", script], check=True)
    assert path.with_name(f"{path.name}-journal").exists()


HOSTILE: dict[str, tuple[Callable[[Path], object], str]] = {
    "text": (_text, "is not a SQLite database"),
    "nothing": (Path.touch, "has no table of meerkat-mob"),
    "a foreign database": (_foreign, "has no table of meerkat-mob"),
    "a store of mobstore": (_ours, "is a store of mobstore"),
    "a damaged database": (_damaged, "is corrupt"),
    "half a database": (_half, "is corrupt"),
    "a later database": (_newer, "was written by meerkat-mob newer than 0.8 (event 1 has"),
    "shared memory": (_shared_memory, "is not a SQLite database"),
    "a file with a journal": (_in_the_middle_of_a_write, "was left in the middle of a write"),
    "a named pipe": (os.mkfifo, "is not a regular file"),
    "a loop of links": (lambda path: path.symlink_to(path), "symbolic links"),
    "a link to nothing": (lambda path: path.symlink_to("nothing"), "is not a file"),
}


@pytest.mark.slow
@pytest.mark.parametrize("what", HOSTILE)
def test_a_file_that_cannot_be_imported_is_named_or_left_out(what: str, folder: Path) -> None:
    make, words = HOSTILE[what]
    path = folder / "desk.extra.db"
    make(path)
    before = state(folder)
    said = rejected(folder)
    assert str(path) in said
    assert words in said
    report = imported(folder, skip=True)
    assert numbers(report) == (6, 3, 3, 2)
    (left_out,) = report.files_left_out
    assert left_out.path == str(path)
    assert words in left_out.reason
    assert report.describe_left_out() == [str(left_out)]
    assert state(folder) == before


@pytest.mark.parametrize(
    ("version", "words"),
    [
        ("10", "newer than 0.8 (event 1 has schema_version 10)"),
        ("5", "of an unknown release (event 1 has schema_version 5)"),
        ("-1", "of an unknown release (event 1 has schema_version -1)"),
        ('"6"', 'of an unknown release (event 1 has schema_version "6")'),
        ("true", "of an unknown release (event 1 has schema_version true)"),
    ],
)
def test_the_version_of_an_event_is_named(version: str, words: str, tmp_path: Path) -> None:
    path = write_mob(tmp_path / "a.db", "a")
    document = f'{{"event":{{}},"schema_version":{version}}}'
    change(path, f"UPDATE mob_events SET event_json = '{document}'")
    assert f"was written by meerkat-mob {words}" in rejected(path)


def test_all_files_that_cannot_be_imported_are_listed(tmp_path: Path) -> None:
    folder = tmp_path / "source"
    folder.mkdir()
    for name in ("a.db", "c.db"):
        _newer(folder / name)
    write_mob(folder / "b.db", "b")
    _text(folder / "d.db")
    for check in (True, False):
        report = imported(folder, skip=True, check=check)
        assert sorted(Path(file.path).name for file in report.files_left_out) == [
            "a.db", "c.db", "d.db",
        ]  # fmt: skip
        assert [file.offset for file in report.files] == [0]
    (folder / "b.db").unlink()
    assert rejected(folder, skip=True).startswith("none of 3 files can be imported: ")


def test_one_file_is_never_left_out(folder: Path) -> None:
    path = folder / "desk.db"
    _text(path)
    assert rejected(path, skip=True).startswith(f"{path} is not a SQLite database")


def test_a_forged_duplicate_leaves_out_its_file(folder: Path) -> None:
    """It is found when rows of the file are in the store already."""
    forge_duplicate(folder / "desk.db", "mob_runs")
    said = rejected(folder, mobstore.SerializationError, check=False)
    assert said.startswith(f"desk.db: table mob_runs, key {samples.run_id(1)}: duplicate")
    report = imported(folder, skip=True)
    assert numbers(report) == (3, 1, 2, 2)
    assert [Path(file.path).name for file in report.files_left_out] == ["desk.db"]


def test_a_forged_duplicate_on_another_page(folder: Path) -> None:
    path = write_mob(folder / "e.db", "e", runs=range(10, 310))
    forge_duplicate(path, "mob_runs")
    said = rejected(folder, mobstore.SerializationError)
    assert said.startswith(f"e.db: table mob_runs, key {samples.run_id(10)}: duplicate")


@pytest.mark.parametrize("name", ["", "x\0", "x\ud800"])
def test_a_path_that_no_file_can_have(name: str) -> None:
    for source in (name, ["a.db", name]):
        assert "a path cannot" in rejected(source, mobstore.UsageError)

    async def check() -> None:
        async with mobstore.open_stores("memory:") as stores:
            for by_mob in (False, True):
                with pytest.raises(mobstore.UsageError, match="a path cannot"):
                    await export_meerkat(stores, name, by_mob=by_mob)

    asyncio.run(check())


@pytest.mark.parametrize("length", [250, 255, 300])
def test_a_name_that_is_too_long_is_named(length: int, tmp_path: Path) -> None:
    path = tmp_path / ("m" * length)
    assert "m" * 39 in rejected(path)


@pytest.mark.parametrize("source", [[], ()])
def test_no_file(source: list[str]) -> None:
    assert "no file is named" in rejected(source, mobstore.UsageError)


def test_an_empty_directory(tmp_path: Path) -> None:
    assert "has no file *.db" in rejected(tmp_path)
    assert "has no file *.db" in rejected([tmp_path], skip=True)


def test_a_file_and_a_directory_without_permission(folder: Path) -> None:
    (folder / "desk.db").chmod(0)
    if os.access(folder / "desk.db", os.R_OK):
        pytest.skip("this user may read everything")
    assert "desk.db" in rejected(folder)
    assert [file.path for file in imported(folder, skip=True).files_left_out] == [
        str(folder / "desk.db")
    ]
    folder.chmod(0)
    try:
        assert "cannot be read: permission denied" in rejected(folder)
    finally:
        folder.chmod(0o700)
