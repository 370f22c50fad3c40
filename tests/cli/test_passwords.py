"""Passwords in PostgreSQL URLs are never printed, whatever is wrong with the arguments."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli.command_line import RUN, reading, run, run_process

URL = "postgresql://ann:it'sGeheim7@127.0.0.1:1/db?schema=mobs"  # shells and repr escape it
SHOWN = "'postgresql://ann:***@127.0.0.1:1/db?schema=mobs'"
MALFORMED = "postgresql://ann:pass@Geheim7/x@127.0.0.1/db"

ADVICE = [
    (
        "import URL sqlite:new.db",
        f"{SHOWN[1:-1]} is a store, not a file; type `mobstore copy {SHOWN} sqlite:new.db`",
    ),
    (
        "export sqlite:mobs.db URL",
        f"{SHOWN[1:-1]} is a store, not a file; type `mobstore copy sqlite:mobs.db {SHOWN}`",
    ),
    ("import URL backup.zip", f"FILE comes first; type `mobstore import backup.zip {SHOWN}`"),
    ("export new.zip URL", f"URL comes first; type `mobstore export {SHOWN} new.zip`"),
    (
        "copy URL new.zip",
        f"new.zip is a file, not a store; type `mobstore export {SHOWN} new.zip`",
    ),
    ("info sqlite:x.db URL", f"Got unexpected extra argument ({SHOWN[1:-1]})"),
    ("events sqlite:x.db --limit URL", f'"{SHOWN[1:-1]}" is not a valid integer range.'),
    (
        "run sqlite:x.db URL",
        f'"{SHOWN[1:-1]}" is not the id of a run; give its first hex digits, such as c1934f18.',
    ),
    ("runs sqlite:x.db --status URL", "'failed', 'canceled'."),
    ("URL", f'No such command "{SHOWN[1:-1]}".'),
    ("completion URL", "is not one of 'bash', 'zsh', 'fish'."),
]


@pytest.mark.parametrize(("typed", "advice"), ADVICE, ids=[typed for typed, _ in ADVICE])
def test_advice_shows_urls_without_passwords(tmp_path: Path, typed: str, advice: str) -> None:
    ended = run(*(URL if word == "URL" else word for word in typed.split()), folder=tmp_path)
    assert (ended.code, ended.out) == (2, "")
    assert ended.errors.endswith(f"{advice}\n")
    assert "Geheim7" not in ended.errors


@pytest.mark.parametrize("url", [MALFORMED, f" {URL}", f"{URL}\n", f"postgres+psycopg{URL[10:]}"])
@pytest.mark.parametrize(
    "command",
    [
        *(arguments[:-1] if len(arguments) == 3 else arguments for arguments in reading("U", RUN)),
        ["run", "U", RUN], ["diff", "U", "sqlite:x.db"], ["diff", "sqlite:x.db", "U"],
        ["copy", "U", "sqlite:x.db"], ["copy", "sqlite:x.db", "U"], ["copy", "memory:", "U.zip"],
        ["export", "U", "x.zip"], ["export", "sqlite:x.db", "U"], ["export", "x.zip", "U"],
        ["import", "x.zip", "U"], ["import", "U", "sqlite:x.db"], ["import", "U", "x.zip"],
        ["verify", "U", "--repair"], ["info", "U", "--json"], ["diff", "U", "U", "--json"],
        ["U"], ["info", "sqlite:x.db", "U"], ["info", "--mob=U"], ["--U"], ["completion", "U"],
    ],
    ids=" ".join,
)  # fmt: skip
def test_malformed_urls_are_not_quoted(tmp_path: Path, command: list[str], url: str) -> None:
    ended = run(*(word.replace("U", url) for word in command), folder=tmp_path)
    assert ended.code in {1, 2}
    assert ended.out == ""
    assert "Geheim7" not in ended.errors
    assert not list(tmp_path.iterdir())


def test_a_malformed_url_is_not_taken_for_a_file(tmp_path: Path) -> None:
    ended = run("copy", "memory:", f"{MALFORMED}.zip", folder=tmp_path)
    assert "Invalid value for 'NEW_URL': a PostgreSQL URL has one @" in ended.errors


def test_a_process_prints_no_password_either(tmp_path: Path) -> None:
    ended = run_process("info", MALFORMED, folder=tmp_path)
    assert (ended.code, ended.out) == (2, "")
    assert "Error: Invalid value for 'URL': a PostgreSQL URL has one @" in ended.errors
    assert "Geheim7" not in ended.errors


def test_help_has_an_example_of_a_url() -> None:
    ended = run("--help")
    assert "postgresql://USER@HOST:PORT/DBNAME?schema=NAME" in ended.out
