"""Files with another layout than that of mobstore are rejected before any row is read."""

from __future__ import annotations

import asyncio
from contextlib import closing
from pathlib import Path

import pytest

from engines.attempts import assert_untouched, refused
from engines.earlier import make_format_1
from engines.forged import forge_endless
from engines.support import plain
from mobstore import ReadFailedError, open_stores
from mobstore.engines.sqlite.file import APPLICATION_ID
from mobstore.engines.sqlite.layout import entries, made_by
from mobstore.engines.sqlite.upgrade import statements
from mobstore.scripts.tables import FORMAT
from mobstore.testing.samples import tagged_event

FOR_EVER = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n)"
COLUMNS = "x AS cursor, 'm' AS mob_id, 't' AS timestamp, 'e' AS type, '' AS run_id, '{}' AS kind"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "mobs.db"

    async def make() -> None:
        async with open_stores(f"sqlite:{path}") as stores:
            await stores.events.append_batch([tagged_event("e"), tagged_event("f")])

    asyncio.run(make())
    with closing(plain(path)) as connection:
        connection.execute("PRAGMA journal_mode = DELETE")  # so that each change leaves one file
    return path


def forged(change: str, *, of: str = "name = 'specs'") -> str:
    """Return SQL that changes the list of tables as no statement can."""
    return f"PRAGMA writable_schema = ON; UPDATE sqlite_master SET {change} WHERE {of}"


def replaced(old: str, new: str, *, of: str = "name = 'specs'") -> str:
    return forged(f"""sql = replace(sql, '{old}', '{new}')""", of=of)


FOREIGN = {
    "a view": (f"CREATE VIEW v AS {FOR_EVER} SELECT x FROM n", "view v is not part of mobstore"),
    "a view in a table's place": (
        f"DROP TABLE events; CREATE VIEW events AS {FOR_EVER} SELECT {COLUMNS} FROM n",
        "view events is not part of mobstore",
    ),
    "a trigger": (
        "CREATE TRIGGER t AFTER INSERT ON events BEGIN DELETE FROM runs; END",
        "trigger t is not part of mobstore",
    ),
    "a virtual table": (
        "CREATE VIRTUAL TABLE v USING fts4(x)",
        "virtual table v is not part of mobstore",
    ),
    "a virtual table in a table's place": (
        "DROP TABLE specs; CREATE VIRTUAL TABLE specs USING fts4(mob_id, revision, definition)",
        "virtual table specs differs from that of mobstore",
    ),
    "a table": ("CREATE TABLE notes (text)", "table notes is not part of mobstore"),
    "a table that counts": (
        "CREATE TABLE n (x INTEGER PRIMARY KEY AUTOINCREMENT)",
        "is not part of mobstore",
    ),
    "an index": ("CREATE INDEX i ON events (kind)", "index i is not part of mobstore"),
    "an index that must be unique": (
        "CREATE UNIQUE INDEX i ON events (mob_id, cursor)",
        "index i is not part of mobstore",
    ),
    "an index of a part": (
        "DROP INDEX events_by_mob;"
        ' CREATE INDEX events_by_mob ON events ("mob_id", "cursor") WHERE cursor > 1',
        "index events_by_mob differs from that of mobstore",
    ),
    "an index of an expression": (
        "DROP INDEX events_by_time; CREATE INDEX events_by_time ON events (length(kind))",
        "index events_by_time differs from that of mobstore",
    ),
    "no index": ("DROP INDEX events_by_time", "index events_by_time is missing"),
    "no table": ("DROP TABLE frames", "table frames is missing"),
    "a generated column": (
        "ALTER TABLE specs ADD COLUMN more AS (revision + 1)",
        "table specs differs from that of mobstore",
    ),
    "a generated column in a column's place": (
        replaced('"definition" TEXT NOT NULL', '"definition" TEXT AS (hex(zeroblob(1000000000)))'),
        "table specs differs from that of mobstore",
    ),
    "a check": (
        replaced('"revision" INTEGER', '"revision" INTEGER CHECK (revision < 3)'),
        "table specs differs from that of mobstore",
    ),
    "a default": (
        replaced('"revision" INTEGER', '"revision" INTEGER DEFAULT 7'),
        "table specs differs from that of mobstore",
    ),
    "a collation": (
        replaced('"mob_id" TEXT', '"mob_id" TEXT COLLATE NOCASE'),
        "table specs differs from that of mobstore",
    ),
    "a conflict clause": (
        replaced(")))", "") + ";" + replaced("NOT NULL", "NOT NULL ON CONFLICT IGNORE"),
        "table specs differs from that of mobstore",
    ),
    "a foreign key": (
        replaced(
            "PRIMARY KEY",
            "FOREIGN KEY (mob_id) REFERENCES meta (name) ON DELETE CASCADE, PRIMARY KEY",
        ),
        "table specs differs from that of mobstore",
    ),
    "no row numbers": (
        "DROP TABLE specs; CREATE TABLE"
        ' "specs" ("mob_id" TEXT NOT NULL, "revision" INTEGER NOT NULL,'
        ' "definition" TEXT NOT NULL, PRIMARY KEY ("mob_id")) WITHOUT ROWID',
        "table specs differs from that of mobstore",
    ),
    "white space of another kind": (
        replaced(" TEXT NOT NULL", " TEXT" + "\u00a0NOT\u00a0NULL"),
        "table specs differs from that of mobstore",
    ),
    "statistics of another make": (
        "ANALYZE; "
        + forged(
            "sql = 'CREATE TABLE sqlite_stat1(tbl,idx,stat,more)'", of="name = 'sqlite_stat1'"
        ),
        "table sqlite_stat1 is not part of mobstore",
    ),
    "two on one page": (
        forged("rootpage = (SELECT rootpage FROM sqlite_master WHERE name = 'events')"),
        "table specs has the page of its table events",
    ),
    "the page of the list itself": (forged("rootpage = 1"), ""),
    "no page": (forged("rootpage = 0"), ""),
    "a page before the first": (forged("rootpage = -3"), ""),
    "a page after the last": (forged("rootpage = 4000000"), ""),
    "a name of bytes": (forged("name = x'7370656373'"), ""),
    "a name of bytes that are no text": (forged("name = x'ff00fe'"), ""),
    "no name": (forged("name = NULL"), ""),
    "a name that is not UTF-8": (forged("name = CAST(x'73ff' AS TEXT)"), ""),
    "a name that a terminal obeys": (
        'CREATE TABLE "\x1b]0;owned\x07' + "n" * 3000 + '" (x)',
        r"table \x1b]0;owned\x07nnn",
    ),
    "SQL of bytes": (forged("sql = CAST(sql AS BLOB)"), ""),
    "SQL that is not UTF-8": (forged("sql = sql || CAST(x'202d2dff' AS TEXT)"), ""),
    "no SQL": (forged("sql = NULL"), ""),
    "no kind": (forged("type = NULL"), ""),
    "another kind": (forged("type = 'view'"), ""),
    "a page that is text": (forged("rootpage = 'x'"), ""),
    "SQL that SQLite cannot read": (forged("sql = 'CREATE nonsense'"), ""),
    "SQL that SQLite cannot read, of a name that is not UTF-8": (
        forged("name = CAST(x'73ff' AS TEXT), sql = 'CREATE nonsense'"),
        "",
    ),
    "SQL of great length": (forged("sql = sql || ' --' || hex(zeroblob(200000))"), ""),
    "very many tables": (
        ";".join(f"CREATE TABLE t{n} (x)" for n in range(1100)),
        "more than 1000 tables and indexes",
    ),
}
"""What was done to a store's file, and what is said of it; nothing if SQLite may say it first."""


def altered(path: Path, statements: str) -> bytes:
    """Run SQL on a file, and return its bytes."""
    with closing(plain(path)) as connection:
        connection.executescript(f"BEGIN; {statements}; COMMIT")
    return path.read_bytes()


def assert_refused(path: Path, words: str) -> None:
    before = path.read_bytes()
    for read_only in (False, True):
        error = refused(f"sqlite:{path}", read_only=read_only)
        assert type(error) is ReadFailedError
        said = str(error)
        assert words in said
        assert str(path) in said
        assert said.isprintable()
        assert len(said) < len(str(path)) + 400
        assert_untouched(path, before)


@pytest.mark.slow
@pytest.mark.parametrize("what", FOREIGN)
def test_foreign_entries_are_rejected(path: Path, what: str) -> None:
    script, words = FOREIGN[what]
    before = path.read_bytes()
    assert altered(path, script) != before
    assert_refused(path, words)


def test_foreign_entries_are_rejected_in_an_earlier_format(tmp_path: Path) -> None:
    path = tmp_path / "mobs.db"
    make_format_1(path)
    with closing(plain(path)) as connection:
        connection.execute("PRAGMA journal_mode = DELETE")
    altered(path, "CREATE TRIGGER t AFTER INSERT ON events BEGIN DELETE FROM runs; END")
    assert_refused(path, "trigger t is not part of mobstore")


@pytest.mark.parametrize("made", [statements(version) for version in range(1, FORMAT + 1)])
def test_what_statements_make_is_what_sqlite_makes_of_them(
    tmp_path: Path, made: tuple[str, ...]
) -> None:
    with closing(plain(tmp_path / "made.db")) as connection:
        for statement in made:
            connection.execute(statement)
        found = entries(connection, tmp_path)
    assert {(e.type, e.name): (e.table, e.sql) for e in found} == made_by(made)


@pytest.mark.parametrize(
    "setting",
    ["ANALYZE", "PRAGMA auto_vacuum = FULL; VACUUM", "PRAGMA page_size = 512; VACUUM", "REINDEX"],
)
def test_changes_outside_the_tables_are_fine(path: Path, setting: str) -> None:
    before = path.read_bytes()
    with closing(plain(path)) as connection:
        connection.executescript(setting)
    assert path.read_bytes() != before or setting == "REINDEX"

    async def main() -> None:
        async with open_stores(f"sqlite:{path}") as stores:
            await stores.events.append(tagged_event("g"))
            await stores.compact()
        async with open_stores(f"sqlite:{path}", read_only=True) as stores:
            assert len(await stores.events.replay_all()) == 3

    asyncio.run(main())


def test_text_that_is_not_kept_as_utf_8(path: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.db"
    with closing(plain(path)) as one, closing(plain(other)) as connection:
        connection.execute("PRAGMA encoding = 'UTF-16le'")
        connection.executescript("\n".join(one.iterdump()))
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {FORMAT}")
    path.unlink()
    assert_refused(other, "its text is kept as UTF-16le, not as UTF-8")


def test_a_list_of_tables_without_an_end(path: Path) -> None:
    """A tree of nineteen levels, with all pages referring to one, has too many rows to read."""
    forge_endless(path, root=1)
    assert_refused(path, "is too long, or has no end")
