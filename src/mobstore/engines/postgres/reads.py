"""Reads as statements, and their answers from the results.

Reads of single rows of one table become one statement. Equal reads are asked once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeAlias

from psycopg.adapt import AdaptersMap, Transformer
from psycopg.types.numeric import IntLoader
from psycopg.types.string import TextLoader

from mobstore.engines.postgres.sql import Sql
from mobstore.engines.postgres.values import INT8, TEXT, original
from mobstore.engines.postgres.wire import Result, Statement
from mobstore.scripts.tables import Key, Table
from mobstore.scripts.transaction import Get, Now, Read, Scan

Name: TypeAlias = tuple[object, ...]
"""A read as a key of a dictionary."""
Answers: TypeAlias = dict[Name, Any]
_Decode: TypeAlias = Callable[[Result, Answers], None]


def name_of(read: Read) -> Name:
    """Return a read as a key: equal reads have equal ones."""
    if isinstance(read, Get):
        return read.table, read.key
    if isinstance(read, Scan):
        return (
            read.index, read.prefix, read.after, read.before, read.limit, read.backwards
        )  # fmt: skip
    if isinstance(read, Now):
        return ("now",)
    scan = read.scan
    return scan.index, scan.prefix, scan.after, scan.before, "count"


class _OwnLoaders:
    """A context of psycopg with no loaders but its own.

    An application may change those of all connections: texts in lower case, numbers as Decimal.
    """

    connection = None

    def __init__(self) -> None:
        self.adapters: AdaptersMap = AdaptersMap()
        self.adapters.register_loader(TEXT, TextLoader)
        self.adapters.register_loader(INT8, IntLoader)


_OWN_LOADERS = _OwnLoaders()


class Questions:
    """Reads that are asked in one exchange."""

    def __init__(self, sql: Sql, reads: Iterable[Read]) -> None:
        self.statements: list[Statement] = []
        self._decode: list[_Decode] = []
        self._keys: dict[Table[Any], dict[Key, None]] = {}
        asked: set[Name] = set()
        for read in reads:
            if isinstance(read, Get):
                self._keys.setdefault(read.table, {})[read.key] = None
            elif (name := name_of(read)) not in asked:
                asked.add(name)
                if isinstance(read, Scan):
                    self._ask(sql.scan(read), _rows(name, read))
                elif isinstance(read, Now):
                    self._ask(sql.now(), _time(name))
                else:
                    self._ask(sql.count(read), _number(name))
        for table, keys in self._keys.items():
            if len(keys) == 1:
                (key,) = keys
                self._ask(sql.get(table, key), _by_key(table, keys))
            else:
                self._ask(sql.get_many(table, list(keys)), _by_key(table, keys))

    def _ask(self, statement: Statement, decode: _Decode) -> None:
        self.statements.append(statement)
        self._decode.append(decode)

    def answers(self, results: Sequence[Result]) -> Answers:
        """Return the answers in the results of the statements."""
        answers: Answers = {}
        for decode, result in zip(self._decode, results, strict=True):
            decode(result, answers)
        return answers


def _rows(name: Name, scan: Scan[Any]) -> _Decode:
    def decode(result: Result, answers: Answers) -> None:
        answers[name] = rows_of(scan.index.table, result)

    return decode


def _time(name: Name) -> _Decode:
    def decode(result: Result, answers: Answers) -> None:
        answers[name] = (result.get_value(0, 0) or b"").decode()

    return decode


def _number(name: Name) -> _Decode:
    def decode(result: Result, answers: Answers) -> None:
        answers[name] = int(result.get_value(0, 0) or 0)

    return decode


def _by_key(table: Table[Any], keys: Mapping[Key, None]) -> _Decode:
    def decode(result: Result, answers: Answers) -> None:
        for key in keys:
            answers[table, key] = None
        key_of = table.getter(table.key)
        for row in rows_of(table, result):
            answers[table, key_of(row)] = row

    return decode


def rows_of(table: Table[Any], result: Result) -> list[Any]:
    """Return the rows in a result with all columns of a table."""
    count = result.ntuples
    if not count:
        return []
    loading = Transformer(_OWN_LOADERS)
    loading.set_pgresult(result)
    make: Callable[[Sequence[Any]], Any] = table.row._make
    rows = loading.load_rows(0, count, make)
    if any("\1" in value for row in rows for value in row if isinstance(value, str)):
        return [
            make([original(value) if isinstance(value, str) else value for value in row])
            for row in rows
        ]
    return rows
