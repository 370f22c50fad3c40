"""The command line on a PostgreSQL server, by a role with a password that is never printed."""

from __future__ import annotations

import asyncio
import gzip
import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import mobstore
from cli.command_line import reading, run
from support.postgres.endpoint import free_port
from support.postgres.server import Role, Server

SAMPLE = Path(__file__).parents[1] / "golden" / "tide-desk-meerkat-0.5.2.db.gz"
ESCAPED = "it's%20%40%2F%3F%23%20Geheim7"
MOVED = "99 events, 8 runs, 2 specs, 2 realm profiles\n"

pytestmark = pytest.mark.slow


class Folder:
    """A working directory with a sample store, and URLs of one on a server."""

    def __init__(self, path: Path, url: str) -> None:
        self.path, self.url = path, url
        self.shown = url.replace(ESCAPED, "***")
        (path / "mob.db").write_bytes(gzip.decompress(SAMPLE.read_bytes()))
        self.output("import", "mob.db", "sqlite:mobs.db")

    def output(self, *arguments: str) -> str:
        """Run a command that succeeds; return its output."""
        code, out, errors = run(*arguments, folder=self.path)
        assert (code, errors) == (0, "")
        assert "Geheim7" not in out
        return out

    def message(self, *arguments: str, code: int = 1) -> str:
        """Run a command that fails; return its message."""
        ended, out, errors = run(*arguments, folder=self.path)
        assert (ended, out) == (code, "")
        assert "Geheim7" not in errors
        return errors


@pytest.fixture
def folder(tmp_path: Path, postgres: Server, postgres_role: Role, postgres_schema: str) -> Folder:
    url = postgres.url(
        schema=postgres_schema, user=postgres_role.name, password=postgres_role.password
    )
    assert ESCAPED in url.replace("%27", "'")
    return Folder(tmp_path, url.replace("%27", "'"))


def test_a_store_moves_there_and_back_without_a_difference(folder: Folder) -> None:
    url = folder.url
    assert folder.output("copy", "sqlite:mobs.db", url) == f"copied {MOVED}"
    assert folder.output("diff", "sqlite:mobs.db", url) == "no differences\n"
    assert folder.output("copy", url, "sqlite:back.db") == f"copied {MOVED}"
    assert folder.output("diff", url, "sqlite:back.db") == "no differences\n"
    assert folder.output("verify", url) == "sound: 254 rows\n"
    assert folder.output("verify", url, "--repair") == "sound: 254 rows\n"
    assert folder.output("export", url, "mobs.zip") == f"exported {MOVED}"
    assert folder.output("diff", "mobs.zip", url) == "no differences\n"
    assert folder.output("export", url, "back.mob", "--format", "meerkat") == f"exported {MOVED}"
    assert folder.message("copy", "sqlite:mobs.db", url) == (
        "Error: the target store is not empty; name a new one\n"
    )


@pytest.mark.parametrize("file", ["mob.db", "mobs.zip"])
def test_an_import_fills_a_new_schema(folder: Folder, file: str) -> None:
    folder.output("export", "sqlite:mobs.db", "mobs.zip")
    assert folder.output("import", file, folder.url) == f"imported {MOVED}"
    assert folder.output("diff", folder.url, "mobs.zip") == "no differences\n"


def test_commands_print_the_same_as_for_a_file(folder: Folder) -> None:
    folder.output("copy", "sqlite:mobs.db", folder.url)
    for options in ([], ["--json"]):
        there, here = reading(folder.url), reading("sqlite:mobs.db")
        for command, same in zip(there, here, strict=True):
            out = folder.output(*command, *options)
            if command[0] != "info":
                assert out == folder.output(*same, *options)


def test_info_shows_the_url_without_its_password(folder: Folder) -> None:
    folder.output("copy", "sqlite:mobs.db", folder.url)
    assert folder.output("info", folder.url).splitlines()[0] == folder.shown
    assert json.loads(folder.output("info", folder.url, "--json"))["events"] == 99


def test_diff_names_the_stores_without_a_password(folder: Folder) -> None:
    folder.output("copy", "sqlite:mobs.db", folder.url)
    found = run("diff", "memory:", folder.url, folder=folder.path)
    assert found.code == 1
    assert f"spec tide-desk: only in {folder.shown}\n" in found.out
    assert "Geheim7" not in found.out + found.errors


def test_a_store_that_is_missing_is_not_created(folder: Folder, postgres_schema: str) -> None:
    for command in reading(folder.url):
        message = folder.message(*command, code=2 if command[0] == "diff" else 1)
        assert postgres_schema in message
        assert "there is no store; is the name right?" in message
    message = folder.message("info", folder.url)
    assert message == folder.message("info", folder.url), "the schema was not created"


def test_what_is_wrong_with_the_connection_is_named(
    folder: Folder, postgres: Server, postgres_role: Role
) -> None:
    port = free_port()
    down = folder.url.replace(f":{postgres.port}/", f":{port}/")
    assert f'"127.0.0.1", port {port} failed: Connection refused' in folder.message("info", down)
    wrong = folder.url.replace(ESCAPED, "wrongGeheim7")
    assert "the password is wrong or missing; check PGPASSWORD" in folder.message("info", wrong)
    unknown = folder.url.replace(postgres_role.name, "bob")
    assert "the server rejects this user; check the user" in folder.message("info", unknown)
    missing = folder.url.replace("/postgres?", "/no_such_database?")
    assert "the database does not exist; create it, or" in folder.message("info", missing)
    foreign = folder.url.replace("schema=", "schema=public&options=-c")  # a parameter of no server
    assert "the connection to the server failed" in folder.message("info", foreign)


def test_a_role_without_rights_to_create(
    folder: Folder, postgres: Server, postgres_role: Role
) -> None:
    postgres.execute(f"REVOKE CREATE ON DATABASE postgres FROM {postgres_role.name}")
    message = folder.message("copy", "sqlite:mobs.db", folder.url)
    assert "CREATE" in message


def test_events_are_followed_until_interrupted(postgres_url: str) -> None:
    async def append(mob: str) -> None:
        async with mobstore.open_stores(postgres_url) as stores:
            event = mobstore.NewMobEvent(mob_id=mobstore.MobId(mob), kind=mobstore.MobReset())
            await stores.events.append(event)

    asyncio.run(append("before"))
    main = "from mobstore.cli import main; main()"
    command = [sys.executable, "-c", main, "events", postgres_url, "--follow"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as following:
        assert following.stdout is not None
        assert b"before" in following.stdout.readline()
        asyncio.run(append("after"))
        assert b"after" in following.stdout.readline()
        following.send_signal(signal.SIGINT)
        assert following.communicate(timeout=30) == (b"", b"")
        assert following.returncode == 130


def test_an_interrupted_copy_leaves_an_empty_store_that_the_next_one_fills(
    tmp_path: Path, postgres: Server, postgres_schema: str, postgres_url: str
) -> None:
    source = f"sqlite:{tmp_path / 'mobs.db'}"

    async def fill() -> None:
        async with mobstore.open_stores(source, durability="normal") as stores:
            event = mobstore.NewMobEvent(mob_id=mobstore.MobId("m"), kind=mobstore.MobReset())
            await stores.events.append_batch([event] * 50_000)

    asyncio.run(fill())
    main = "from mobstore.cli import main; main()"
    command = [sys.executable, "-c", main, "copy", source, postgres_url]
    created = "SELECT 1 FROM pg_namespace WHERE nspname = %s"
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as copying:
        while not postgres.execute(created, postgres_schema):
            assert copying.poll() is None
        copying.send_signal(signal.SIGINT)
        assert copying.communicate(timeout=30) == (b"", b"")
        assert copying.returncode == 130
    assert json.loads(run("info", postgres_url, "--json").out)["next_cursor"] == 1
    moved = "copied 50,000 events, 0 runs, 0 specs, 0 realm profiles\n"
    assert run("copy", source, postgres_url) == (0, moved, "")
    assert run("diff", source, postgres_url) == (0, "no differences\n", "")
