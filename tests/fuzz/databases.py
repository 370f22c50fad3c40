"""Mutations of a SQLite database: of its bytes, pages, rows, schema and side files.

Each takes the path of a good database and changes the file in place.
"""

from __future__ import annotations

import json
import sqlite3
import struct
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

from fuzz.chance import BYTES, Chance
from fuzz.documents import bulk, changed, write
from mobstore.testing.samples import HOSTILE_TEXTS

_PAGE = 4096


def of_bytes(chance: Chance, path: Path) -> None:
    """Change bytes: anywhere, in headers of pages, or in places of cells."""
    data = bytearray(path.read_bytes())
    if chance.odds(20):
        path.write_bytes(chance.garble(bytes(data)))
        return
    for _ in chance.few():
        page = chance.randrange(len(data) // _PAGE) * _PAGE
        start = page + (100 if page == 0 else 0)
        place = chance.choice((
            chance.randrange(100),  # the header of the file
            start + chance.randrange(12),  # the header of a page
            start + chance.randrange(12), start + chance.randrange(60),  # its cells' places
            page + chance.randrange(_PAGE),
        ))  # fmt: skip
        old = data[place]
        data[place] = chance.choice((*BYTES, (old + 1) % 256, (old - 1) % 256, old ^ 0x80))
    path.write_bytes(data)


def of_pages(chance: Chance, path: Path) -> None:
    """Swap, copy, empty, drop and append pages."""
    data = path.read_bytes()
    pages = [data[start : start + _PAGE] for start in range(0, len(data), _PAGE)]
    for _ in chance.few():
        one, other = (chance.randrange(1, len(pages)) for _ in range(2))
        edit = chance.randrange(6)
        if edit == 0:
            pages[one], pages[other] = pages[other], pages[one]
        elif edit == 1:
            pages[one] = pages[other]
        elif edit == 2:
            pages[one] = bytes([chance.choice((0, 0, 0xFF))]) * _PAGE
        elif edit == 3:
            pages.append(chance.choice((pages[other], bytes(_PAGE), chance.randbytes(_PAGE))))
        elif edit == 4 and len(pages) > 3:
            del pages[max(2, chance.choice((one, len(pages) - 1))) :]
        else:
            pages[one] = pages[one][: chance.randrange(_PAGE)].ljust(_PAGE, b"\0")
    data = b"".join(pages)
    path.write_bytes(data[: -chance.randrange(1, _PAGE)] if chance.odds(10) else data)


def of_rows(chance: Chance, path: Path) -> None:
    """Change values, types and encodings of rows; delete rows, copy rows."""
    with closing(_open(path)) as file:
        tables = [table for table in _tables(file) if _columns(file, table)]
        for _ in chance.few():
            with suppress(sqlite3.Error):  # a value that the table rejects
                _change_row(chance, file, chance.choice(tables))


def of_schema(chance: Chance, path: Path) -> None:
    """Replace tables, add triggers and the like, rewrite the schema."""
    with closing(_open(path)) as file:
        table = chance.choice(_tables(file))
        columns = _columns(file, table)
        script = chance.choice((*_SCHEMAS, _written_schema))
        with suppress(sqlite3.Error):
            file.executescript(script(chance, table, columns))


def of_side_files(chance: Chance, path: Path) -> None:
    """Put a log, a journal or shared memory beside it: garbage, or from a killed process."""
    if chance.odds(50):
        content = chance.choice((
            b"", b"\0", chance.randbytes(100), bytes(5000), _wal(path), chance.garble(_wal(path)),
            b"\xd9\xd5\x05\xf9\x20\xa1\x63\xd7" + chance.randbytes(5000),
        ))  # fmt: skip
        suffix = chance.choice(("-wal", "-wal", "-journal", "-journal", "-shm"))
        path.with_name(path.name + suffix).write_bytes(content)
        return
    _killed(chance, path)


def _open(path: Path) -> sqlite3.Connection:
    file = sqlite3.connect(path, isolation_level=None)
    file.execute("PRAGMA synchronous = OFF")
    file.execute("PRAGMA ignore_check_constraints = ON")
    return file


def _tables(file: sqlite3.Connection) -> list[str]:
    found = file.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")
    return [name for (name,) in found if not name.startswith("sqlite_")]


def _columns(file: sqlite3.Connection, table: str) -> list[str]:
    return [row[1] for row in file.execute(f"PRAGMA table_info({table})")]


# Rows --------------------------------------------------------------------------------------------

_VALUES = (
    "NULL", "0", "1", "-1", "9223372036854775807", "-9223372036854775808", "1.5", "1e999", "-1e999",
    "''", "x''", "x'ff00'", "CAST(x'ff' AS TEXT)", "CAST(x'6100c3' AS TEXT)",
    "CAST(x'eda080' AS TEXT)",
    "CAST({c} AS BLOB)", "CAST({c} AS TEXT)", "{c} || 'x'", "{c} + 1", "{c} - 1", "substr({c}, 2)",
    "upper({c})", "replace({c}, 'a', char(0))", "zeroblob(100000)", "zeroblob(10000000)",
    "CAST(zeroblob(3000000) AS TEXT)", "hex(zeroblob(500000))", "'{{}}'", "'[]'",
)  # fmt: skip


def _change_row(chance: Chance, file: sqlite3.Connection, table: str) -> None:
    columns = _columns(file, table)
    (rows,) = file.execute(f"SELECT count(*) FROM {table}").fetchone()
    column, place = chance.choice(columns), chance.randrange(max(rows, 1))
    keys = [row[1] for row in file.execute(f"PRAGMA table_info({table})") if row[5]] or ["rowid"]
    key = ", ".join(keys)
    this = f"({key}) IN (SELECT {key} FROM {table} ORDER BY {key} LIMIT 1 OFFSET {place})"
    edit = chance.randrange(10)
    if edit == 0:
        file.execute(f"DELETE FROM {table} WHERE {chance.choice((this, this, 'true'))}")
    elif edit == 1:
        others = [f"{c} || 'x'" if c in keys and chance.odds(90) else c for c in columns]
        number = f"{chance.choice((7, 1000, 2**62))} + {keys[0]}"
        others = [number if c in {"cursor", "number", "position"} else o
                  for c, o in zip(columns, others, strict=True)]  # fmt: skip
        file.execute(f"INSERT INTO {table} SELECT {', '.join(others)} FROM {table} WHERE {this}")
    elif edit < 5:
        value = chance.choice(_VALUES).format(c=column)
        file.execute(f"UPDATE OR REPLACE {table} SET {column} = {value} WHERE {this}")
    elif edit == 5:
        value = f"(SELECT {column} FROM {table} ORDER BY {key} LIMIT 1 OFFSET {rows // 2})"
        file.execute(f"UPDATE {table} SET {column} = {value} WHERE {this}")
    elif edit == 6:
        text = chance.choice(HOSTILE_TEXTS)
        file.execute(f"UPDATE {table} SET {column} = ? WHERE {this}", (text,))
    else:
        _change_document(chance, file, table, this)


def _change_document(chance: Chance, file: sqlite3.Connection, table: str, this: str) -> None:
    row = file.execute(f"SELECT * FROM {table} WHERE {this}").fetchone()
    columns = _columns(file, table)
    documents = [
        (column, value)
        for column, value in zip(columns, row or (), strict=False)
        if isinstance(value, (str, bytes)) and value[:1] in ("{", b"{", "[", b"[", '"', b'"')
    ]
    if documents:
        column, value = chance.choice(documents)
        text = bulk(chance) if chance.odds(5) else write(changed(chance, json.loads(value)))
        new: str | bytes = (
            text.encode("utf-8", "surrogatepass") if isinstance(value, bytes) else text
        )
        file.execute(f"UPDATE {table} SET {column} = ? WHERE {this}", (new,))


# Schemas -----------------------------------------------------------------------------------------


def _named(values: Sequence[str], columns: Sequence[str]) -> str:
    return ", ".join(f"{value} AS {column}" for value, column in zip(values, columns, strict=True))


def _view(chance: Chance, table: str, columns: Sequence[str]) -> str:
    """Return a view of the same rows, of twice as many, of infinitely many, or of huge ones."""
    numbers = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n)"
    body = chance.choice((
        "SELECT * FROM old_rows",
        "SELECT * FROM old_rows UNION ALL SELECT * FROM old_rows",
        f"{numbers} SELECT {_named(['i'] * len(columns), columns)} FROM n",
        f"{numbers} SELECT old_rows.* FROM old_rows, n",
        f"SELECT {_named(['zeroblob(700000000)'] * len(columns), columns)}",
        f"SELECT * FROM {table}",
    ))  # fmt: skip
    return f"ALTER TABLE {table} RENAME TO old_rows; CREATE VIEW {table} AS {body};"


def _without_keys(chance: Chance, table: str, _: Sequence[str]) -> str:
    double = f"INSERT INTO new_rows SELECT * FROM {table};" if chance.odds(60) else ""
    some = "DELETE FROM new_rows WHERE rowid % 3 = 1;" if chance.odds(30) else ""
    return (
        f"CREATE TABLE new_rows AS SELECT * FROM {table}; {double} {some}"
        f"DROP TABLE {table}; ALTER TABLE new_rows RENAME TO {table};"
    )


def _virtual(chance: Chance, table: str, columns: Sequence[str]) -> str:
    listed = ", ".join(columns)
    module = chance.choice((
        f"fts5({listed})", f"fts4({listed})", f"rtree({listed})", "dbstat", "fts5vocab(x, row)",
        f"fts5({listed}, content='')",
    ))  # fmt: skip
    return f"DROP TABLE {table}; CREATE VIRTUAL TABLE {table} USING {module};"


def _generated(chance: Chance, table: str, columns: Sequence[str]) -> str:
    column = chance.choice(columns)
    value = chance.choice(("zeroblob(900000000)", "1", "'x'", "CAST(zeroblob(400000000) AS TEXT)"))
    kind = "STORED" if value in {"1", "'x'"} and chance.odds(50) else "VIRTUAL"
    if chance.odds(40):
        return f"ALTER TABLE {table} ADD COLUMN extra GENERATED ALWAYS AS ({value}) VIRTUAL;"
    made = [f"{c} GENERATED ALWAYS AS ({value}) {kind}" if c == column else c for c in columns]
    others = ", ".join(c for c in columns if c != column) or "rowid"
    return (
        f"CREATE TABLE new_rows ({', '.join(made)}, spare);"
        f"INSERT INTO new_rows ({others}) SELECT {others} FROM {table};"
        f"DROP TABLE {table}; ALTER TABLE new_rows RENAME TO {table};"
    )


def _trigger(chance: Chance, table: str, columns: Sequence[str]) -> str:
    when = chance.choice(("AFTER INSERT", "BEFORE INSERT", "AFTER UPDATE", "AFTER DELETE"))
    column = chance.choice(columns)
    body = chance.choice((
        f"DELETE FROM {table}", "DELETE FROM runs", "SELECT RAISE(IGNORE)",
        "SELECT RAISE(FAIL, 'no')",
        f"UPDATE {table} SET {column} = 'forged'", f"INSERT INTO {table} SELECT * FROM {table}",
        "SELECT zeroblob(900000000) || zeroblob(900000000)",
    ))  # fmt: skip
    return f"CREATE TRIGGER added {when} ON {table} BEGIN {body}; END;"


def _index(chance: Chance, table: str, columns: Sequence[str]) -> str:
    column = chance.choice(columns)
    what = chance.choice((
        f"{column}", f"substr({column}, 1, 1)", f"{column} COLLATE NOCASE", f"{column} DESC",
        f"{column}) WHERE ({column} IS NULL", "zeroblob(1000)",
    ))  # fmt: skip
    return f"CREATE {chance.choice(('', 'UNIQUE'))} INDEX added ON {table} ({what});"


def _altered(chance: Chance, table: str, columns: Sequence[str]) -> str:
    column = chance.choice(columns)
    return chance.choice((
        f"DROP TABLE {table};",
        f"ALTER TABLE {table} RENAME TO other_name;",
        f"ALTER TABLE {table} RENAME COLUMN {column} TO other_name;",
        f"ALTER TABLE {table} DROP COLUMN {column};",
        f"ALTER TABLE {table} ADD COLUMN extra TEXT DEFAULT 'x';",
        f"ALTER TABLE {table} ADD COLUMN extra REFERENCES {table};",
        "CREATE TABLE other_name (a CHECK (a > 1));",
        "CREATE VIEW other_name AS SELECT * FROM nowhere;",
        "ANALYZE; INSERT INTO sqlite_stat1 VALUES (x'ff', CAST(x'ff' AS TEXT), zeroblob(100));",
        f"PRAGMA user_version = {chance.choice((0, 1, 2, 3, 4, -1))};",
        f"PRAGMA application_id = {chance.choice((0, 1, 1836016243))};",
        "PRAGMA journal_mode = DELETE;", "PRAGMA auto_vacuum = 1; VACUUM;",
        "PRAGMA page_size = 512; PRAGMA journal_mode = DELETE; VACUUM;",
    ))  # fmt: skip


def _written_schema(chance: Chance, table: str, columns: Sequence[str]) -> str:
    """Rewrite the schema past SQLite's own checks."""
    column = chance.choice(columns)
    change = chance.choice((
        "sql = replace(sql, 'NOT NULL', '')", "sql = replace(sql, 'PRIMARY KEY', '')",
        "sql = sql || ' WITHOUT ROWID'", "sql = replace(sql, 'WITHOUT ROWID', '')",
        "sql = sql || ' STRICT'", "sql = 'garbage'", "sql = NULL", "sql = x'ff'",
        f"sql = replace(sql, '{column}', '{column}_')", "sql = CAST(sql AS BLOB)",
        f"sql = replace(sql, '{column}', '{column} COLLATE NOCASE')",
        f"sql = replace(sql, '{column}', '{column} CHECK (abs(random()) > 0)')",
        f"sql = replace(sql, '{column}', '{column} DEFAULT (zeroblob(900000000))')",
        f"rootpage = {chance.choice((0, 1, 2, 3, 5, 1000, -1, 2**31))}", "rootpage = 'x'",
        "type = 'view'", "type = 'index'", "type = CAST(x'ff' AS TEXT)", "type = NULL",
        "name = CAST(x'ff' AS TEXT)", "name = x'6d6f62'", "name = NULL", "name = 'a' || char(0)",
        "tbl_name = 'x'", "tbl_name = x'ff'", "name = 'sqlite_' || name",
    ))  # fmt: skip
    where = f"name = '{table}'" if chance.odds(70) else f"tbl_name = '{table}'"
    other = chance.choice((
        f"UPDATE sqlite_master SET {change} WHERE {where};",
        f"UPDATE sqlite_master SET {change} WHERE {where};",
        f"UPDATE sqlite_master SET {change} WHERE {where};",
        f"DELETE FROM sqlite_master WHERE {where};",
        f"INSERT INTO sqlite_master SELECT * FROM sqlite_master WHERE {where};",
        "INSERT INTO sqlite_master VALUES ('table', CAST(x'ff00' AS TEXT), 'x', 2, 'CREATE');",
        "INSERT INTO sqlite_master VALUES (x'ff', x'ff', x'ff', 2, x'ff');",
    ))  # fmt: skip
    return f"PRAGMA writable_schema = ON; {other}"


_SCHEMAS: tuple[Callable[[Chance, str, Sequence[str]], str], ...] = (
    _view, _view, _without_keys, _virtual, _generated, _trigger, _index, _altered, _altered,
    _written_schema, _written_schema,
)  # fmt: skip


# Side files --------------------------------------------------------------------------------------


def _wal(path: Path) -> bytes:
    """Return a log of the right form with a wrong checksum."""
    page = path.read_bytes()[:_PAGE]
    header = struct.pack(">8I", 0x377F0682, 3007000, _PAGE, 0, 1, 2, 3, 4)
    return header + struct.pack(">6I", 1, 1, 1, 2, 5, 6) + page


def _killed(chance: Chance, path: Path) -> None:
    """Leave nearly the files that a process killed while writing leaves."""
    log = chance.choice(("wal", "delete"))
    with closing(sqlite3.connect(path, isolation_level=None)) as file:
        file.execute(f"PRAGMA journal_mode = {log}").fetchone()
        file.execute("PRAGMA wal_autocheckpoint = 0").fetchone()
        file.execute("PRAGMA cache_size = 1")
        file.execute("BEGIN IMMEDIATE")
        file.execute("CREATE TABLE IF NOT EXISTS spare (a)")
        file.execute("DROP TABLE spare")
        with suppress(sqlite3.Error):
            for table in _tables(file):
                _change_row(chance, file, table)
        if log == "wal":
            file.execute("COMMIT")
        beside = sorted(path.parent.glob(f"{path.name}*"))
        held: dict[Path, Any] = {one: one.read_bytes() for one in beside}
        if log == "delete":
            file.execute("ROLLBACK")
    for one, content in held.items():
        if not one.name.endswith("-shm"):
            garbled = one != path and chance.odds(40)
            one.write_bytes(chance.garble(content) if garbled else content)


BY_NAME: dict[str, Callable[[Chance, Path], None]] = {
    "bytes": of_bytes,
    "pages": of_pages,
    "rows": of_rows,
    "schema": of_schema,
    "side files": of_side_files,
}
