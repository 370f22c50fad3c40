"""PostgreSQL URLs: libpq gets them as they are, or they are rejected without their password."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import traceback
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
from psycopg import pq
from psycopg.conninfo import conninfo_to_dict

import mobstore
from mobstore import MobStores, Opening, PostgresMobStores, SqliteMobStores, UsageError
from mobstore.stores.postgres_urls import without_passwords
from mobstore.stores.urls import Place, parse_path, parse_url, shown_url

SECRET = "Geheim7"  # noqa: S105 - of no server

ACCEPTED = [
    # (before the parameter, after it, the parameter's value, the schema)
    ("postgresql://ann@host/db", "", "mobs", "mobs"),
    ("postgres://ann:Geheim7@host:5433/db", "", "mobs", "mobs"),
    ("postgresql://", "", "y", "y"),
    ("postgresql:///", "service=x", "y", "y"),
    ("postgresql:///db?service=x&", "", "y", "y"),
    ("postgresql:///db?user=x&", "connect_timeout=5", "y", "y"),
    ("postgresql://h/a%2Fb", "", "two%20words", "two words"),
    ("postgresql://h/db", "", "a+b", "a+b"),
    ("postgresql://h/db", "", "a%26b%3D%25", "a&b=%"),
    ("postgresql://h/db", "", "Gr%C3%BC%C3%9Fe", "Grüße"),
    ("postgresql://h/db", "", "日本", "日本"),
    ("postgresql://h/db", "", "x" * 63, "x" * 63),
    ("postgresql://h/db", "", "PG_x", "PG_x"),
    ("postgresql://h/db", "", "information_schemas", "information_schemas"),
]
UNTOUCHED = [
    "postgresql://",
    "postgres://",
    "postgresql://ann:Geheim7@/db",
    "postgresql:///?service=x",
    "postgresql://h1:5432,h2,[::1]:5433/db?target_session_attrs=read-write",
    "postgresql://%2Frun%2Fpg:5433/db",
    "postgresql:///db?host=/run/pg&port=1,,2",
    "postgresql://ann%40corp:p%40%2F%3F%23w@h/db",
    "postgresql://h/db?user=a%40b",
    "postgresql://h/db?options=-csearch_path%3Dx",
    "postgresql://h/db?ssl=true",
]


@pytest.mark.parametrize(("before", "after", "value", "schema"), ACCEPTED)
@pytest.mark.parametrize("parameter", ["schema", "%73chem%61"])
def test_only_the_schema_is_cut_out(
    before: str, after: str, value: str, schema: str, parameter: str
) -> None:
    separator = "" if "?" in before else "?"
    rest = f"&{after}" if after else ""
    name = f"{before}{separator}{after}".rstrip("?&")
    place = parse_url(f"{before}{separator}{parameter}={value}{rest}")
    assert place == Place("postgres", name, schema)
    conninfo_to_dict(name)


@pytest.mark.parametrize("url", UNTOUCHED)
def test_the_schema_is_mobstore_unless_named(url: str) -> None:
    assert parse_url(url) == Place("postgres", url, "mobstore")
    conninfo_to_dict(url)


REJECTED = [
    # (URL, words); Geheim7 is the password, or a part of it
    ("postgresql+psycopg://ann:Geheim7@host/db", "scheme of SQLAlchemy; begin the URL with postgresql://"),
    ("postgresql+asyncpg://ann:Geheim7@host/db", "'postgresql+asyncpg:' is a scheme of SQLAlchemy"),
    ("postgres+psycopg2://ann:Geheim7@host/db", "'postgres+psycopg2:' is a scheme of SQLAlchemy"),
    ("POSTGRESQL+psycopg://ann:Geheim7@host/db", "is a scheme of SQLAlchemy"),
    ("POSTGRESQL://ann:Geheim7@host/db", "'POSTGRESQL:' is not lower case; begin the URL with postgresql://"),
    ("Postgres://ann:Geheim7@host/db", "'Postgres:' is not lower case"),
    ("postgresql:ann:Geheim7@host/db", "'postgresql:' needs two slashes, as in postgresql://USER@"),
    ("postgresql:/ann:Geheim7@host/db", "needs two slashes"),
    ("postgres:Geheim7", "needs two slashes"),
    ("postgresql://ann:Geheim7@pass@host/db", "has one @, after the user and password"),
    ("postgresql://ann:pass@Geheim7@host/db", "@ is %40"),
    ("postgresql://ann:12@Geheim7/pass@host/db", "has one @, after the user and password"),
    ("postgresql://ann:Geheim7/pass@host/db", "has one @, after the user and password"),
    ("postgresql://ann:12/Geheim7@host/db", "/ is %2F"),
    ("postgresql://ann:12/34/Geheim7@host/db", "has one @, after the user and password"),
    ("postgresql://ann:Geheim7?pass@host/db", "? is %3F"),
    ("postgresql://ann:Geheim7?a=b@host/db", "has one @, after the user and password"),
    ("postgresql://ann:pass@x?Geheim7@host/db", "has one @, after the user and password"),
    ("postgresql://ann:pass@x?user=Geheim7@host/db", "has one @, after the user and password"),
    ("postgresql://ann:12/?Geheim7@host/db", "has one @, after the user and password"),
    ("postgresql://host/db?user=ann@Geheim7", "@ is %40"),
    ("postgresql://ann:Geheim7#pass@host/db", "no fragment after #"),
    ("postgresql://ann:Geheim7@host/db#part", "no fragment after #"),
    ("postgresql://ann:50%Geheim7@host/db", "% in the PostgreSQL URL is not followed by two"),
    ("postgresql://ann:Geheim7%@host/db", "% is %25"),
    ("postgresql://ann:Geheim7%00@host/db", "contains NUL, as %00"),
    ("postgresql://ann:Geheim7\0@host/db", "a space or a control character"),
    ("postgresql://ann:Geheim7 x@host/db", "a space or a control character"),
    ("postgresql://ann:Geheim7@host/db\n", "a space or a control character"),
    ("postgresql://ann:Geheim7@host/\u2003", "a space or a control character"),
    ("postgresql://ann:Geheim7@host/\udc80", "a space or a control character"),
    ("postgresql://ann:Geheim7@host:x/db", "is not a number from 1 to 65535"),
    ("postgresql://ann:Geheim7@host:0/db", "is not a number from 1 to 65535"),
    ("postgresql://ann:Geheim7@host:65536/db", "is not a number from 1 to 65535"),
    ("postgresql://ann:Geheim7@host:543٢/db", "is not a number from 1 to 65535"),
    ("postgresql://ann:Geheim7@h1:5432,h2:99999999999/db", "is not a number from 1 to 65535"),
    ("postgresql://ann:Geheim7@host/db?port=x", "is not a number from 1 to 65535"),
    ("postgresql://ann:Geheim7@host/db?port=1,-1", "is not a number from 1 to 65535"),
    ("postgresql://ann:Geheim7", "the form is postgresql://USER@HOST:PORT/DBNAME?schema=NAME"),
    ("postgresql://ann:Geheim7/db", "is not a number from 1 to 65535"),
    ("postgresql://ann:x:Geheim7/db", "several colons or wrong brackets"),
    ("postgresql://ann:Geheim7@::1/db", "as in [::1]:5432"),
    ("postgresql://ann:Geheim7@[::1/db", "several colons or wrong brackets"),
    ("postgresql://ann:Geheim7@[::1]x/db", "several colons or wrong brackets"),
    ("postgresql://ann:Geheim7@host/db?sslmode", "is not NAME=VALUE"),
    ("postgresql://ann:Geheim7@host/db?&sslmode=require", "is not NAME=VALUE"),
    ("postgresql://ann:Geheim7@host/db?options=-ca=b", "an = in a value is %3D"),
    ("postgresql://ann:Geheim7@host/db?password=Geheim7=", "an = in a value is %3D"),
    ("postgresql://ann:Geheim7@host/db?schema=", "empty; leave it out for schema=mobstore"),
    ("postgresql://ann:Geheim7@host/db?schema", "is not NAME=VALUE"),
    ("postgresql://ann:Geheim7@host/db?schema=a&schema=a", "schema twice"),
    ("postgresql://ann:Geheim7@host/db?schema=" + "ü" * 32, "has 64 bytes; PostgreSQL allows 63"),
    ("postgresql://ann:Geheim7@host/db?schema=pg_x", "reserves the schema pg_x"),
    ("postgresql://ann:Geheim7@host/db?schema=information_schema", "reserves the schema"),
    ("postgresql://ann:Geheim7@host/db?schema=a%00", "contains NUL"),
    ("postgresql://ann:Geheim7@host/db?schema=%FF", "is not UTF-8"),
    # found by libpq
    ("postgresql://ann:Geheim7@host/db?currentSchema=x", "libpq has no parameter currentSchema"),
    ("postgresql://ann:Geheim7@host/db?Schema=x", "has the form postgresql://USER@HOST:PORT/"),
    ("postgresql://ann:Geheim7@host/db?ssl=1", "libpq cannot read the PostgreSQL URL"),
    ("postgresql://ann@host/db?Password=Geheim7", "libpq has no parameter Password"),
    # not recognized as a URL
    (" postgresql://ann:Geheim7@host/db", "begins with its scheme, without spaces or quotes"),
    ("'postgresql://ann:Geheim7@host/db'", "begins with its scheme, without spaces or quotes"),
    ("host=h user=ann password=Geheim7", "such as sqlite:PATH or postgresql://USER@HOST"),
    ("//ann:Geheim7/x://y@host/db", "begins with its scheme"),
    ("jdbc:postgresql://ann:Geheim7@host/db", "no engine for 'jdbc:'; use memory:, sqlite:PATH or"),
    ("mysql://ann:Geheim7@host/db", "no engine for 'mysql:'"),
    ("sqlite:postgresql://ann:Geheim7@host/db", "names an engine twice; leave out sqlite:"),
    ("sqlite:postgresql+psycopg://ann:Geheim7@host/db", "names an engine twice; leave out sqlite:"),
    ("postgresql", "postgresql has no colon; use postgresql://USER@HOST:PORT/DBNAME?schema=NAME"),
]  # fmt: skip


def without_secret(error: BaseException) -> None:
    """Check that an error shows the password nowhere, also not when it is logged."""
    for shown in (
        str(error), repr(error), repr(error.args), repr(vars(error)), repr(error.__cause__),
        repr(error.__context__),
        "".join(traceback.format_exception(error)),
    ):  # fmt: skip
        assert SECRET not in shown
    assert error.__cause__ is None
    assert error.__context__ is None


def error_of(action: Callable[[], Coroutine[Any, Any, object]]) -> UsageError:
    with pytest.raises(UsageError) as caught:
        asyncio.run(action())
    return caught.value


async def _open(opening: Opening[Any]) -> None:
    async with opening:
        pass


@pytest.mark.parametrize(("url", "words"), REJECTED)
@pytest.mark.parametrize("way", [mobstore.open_stores, PostgresMobStores.open])
def test_rejected_without_the_password(
    url: str, words: str, way: Callable[[str], Opening[MobStores]]
) -> None:
    error = error_of(lambda: _open(way(url)))
    assert words in str(error)
    assert str(error).isprintable()
    without_secret(error)
    assert SECRET not in shown_url(url)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://ann:Geheim7@host/db",
        "postgres+psycopg://ann:Geheim7@host/db",
        "postgresql:Geheim7",
    ],
)
def test_a_url_is_not_the_path_of_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match="is not a path; use open_stores") as caught:
        parse_path(url)
    without_secret(caught.value)
    without_secret(error_of(lambda: _open(SqliteMobStores.open(url))))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("url", ["memory:", "sqlite:mobs.db", "indexeddb:mobs", Path("mobs.db")])
def test_only_urls_of_postgresql_open_its_stores(url: Any) -> None:
    error = error_of(lambda: _open(PostgresMobStores.open(url)))
    assert "is not one of PostgreSQL, as in postgresql://USER@HOST:PORT/DBNAME" in str(error)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://ann:{}@h/@", "postgresql://h/db?{}", "postgresql://h:{}/",
        "postgresql://{}#", "postgresql+{}://h", "postgresql://h/db?schema={}&schema=",
        "postgresql://h/db?schema=pg_{}", "host={} password=x", "postgresql{}",
    ],
)  # fmt: skip
def test_messages_are_short_and_printable(url: str) -> None:
    for part in ("x", "1", "a:", "%41", "&=", "\x1b\u202e", "@"):
        with pytest.raises(UsageError) as caught:
            parse_url(url.format(part * 100_000))
        assert len(str(caught.value)) < 1_500
        assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://ann@host/db?schema=x", "postgresql://ann@host/db?schema=x"),
        ("postgresql://ann:Geheim7@host/db?schema=x", "postgresql://ann:***@host/db?schema=x"),
        ("postgres://:Geheim7@host", "postgres://:***@host"),
        ("postgresql://host:5432/db?user=a%40b", "postgresql://host:5432/db?user=a%40b"),
        (
            "postgresql://h/db?password=Geheim7&user=ann&sslpassword=Geheim7",
            "postgresql://h/db?password=***&user=ann&sslpassword=***",
        ),
        ("postgresql://h/db?p%61ssword=Geheim7", "postgresql://h/db?p%61ssword=***"),
        ("postgresql://ann:Geheim7@a@b/db", "postgresql:***"),
        ("postgresql+psycopg://ann:Geheim7@b/db", "postgresql+psycopg:***"),
        ("POSTGRESQL://ann:Geheim7@b/db", "POSTGRESQL:***"),
        ("mysql://ann:Geheim7@b/db", "mysql:***"),
        (" postgresql://ann:Geheim7@b/db", "***"),
        ("sqlite:mobs.db", "sqlite:mobs.db"),
        ("sqlite:///mobs.db", "sqlite:///mobs.db"),
        ("mobs.zip", "mobs.zip"),
    ],
)
def test_urls_are_shown_without_passwords(url: str, shown: str) -> None:
    assert shown_url(url) == shown


def test_the_repr_of_a_place_hides_passwords() -> None:
    place = parse_url("postgresql://ann:Geheim7@host/db?password=Geheim7&schema=mobs")
    shown = "Place('postgres', 'postgresql://ann:***@host/db?password=***', 'mobs')"
    assert (repr(place), str(place), f"{place}") == (shown, shown, shown)
    assert repr(parse_url("sqlite:x.db")) == "Place('sqlite', 'x.db', '')"


def test_the_secrets_that_libpq_knows_are_hidden() -> None:
    """libpq marks them with an asterisk; keys of SCRAM are for debugging only."""
    options = pq.Conninfo.get_defaults()
    secret = {option.keyword.decode() for option in options if option.dispchar == b"*"}
    assert {"password", "sslpassword"} <= secret
    for name in (*secret, "scram_client_key", "scram_server_key"):
        url = f"postgresql:///db?{name}={SECRET}"
        assert without_passwords(url) == f"postgresql:///db?{name}=***"


def test_the_isolation_is_checked_without_a_server() -> None:
    wrong: Any = "snapshot"
    error = error_of(lambda: _open(PostgresMobStores.open("postgresql://h", isolation=wrong)))
    assert str(error) == "Internal error: isolation is 'read committed', 'serializable' or None"


OPEN = (
    "import asyncio, mobstore, sys\n"
    "async def main():\n"
    "    await mobstore.open_stores('postgresql://ann:Geheim7@h/db')\n"
    "try:\n"
    "    asyncio.run(main())\n"
    "except mobstore.UsageError as error:\n"
    "    print(error)\n"
)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("before", "message"),
    [
        (
            "import sys; sys.modules['psycopg'] = None\n",
            "PostgreSQL needs psycopg and libpq: pip install 'mobstore[postgres]'",
        ),
        (  # as in an installation without libpq
            "import os; os.environ['PSYCOPG_IMPL'] = 'c'\n"
            "import sys; sys.modules['psycopg_c'] = None\n",
            "PostgreSQL needs psycopg and libpq: pip install 'mobstore[postgres]'",
        ),
        (
            "import mobstore; mobstore.open_stores; import sys; sys.platform = 'emscripten'\n",
            "a browser cannot connect to PostgreSQL; use indexeddb:NAME",
        ),
    ],
    ids=["without psycopg", "without libpq", "in a browser"],
)
def test_what_is_missing_is_named(before: str, message: str) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", before + OPEN], capture_output=True, text=True, check=True
    )
    assert ended.stdout == f"Internal error: {message}\n"
    assert SECRET not in ended.stderr
