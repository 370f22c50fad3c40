"""Times on the command line."""

from __future__ import annotations

import click
import pytest

from mobstore import Timestamp, UsageError
from mobstore.cli.durations import parse_since, to_time

NOW = Timestamp("2026-03-04T05:06:07.089Z")


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("90s", "2026-03-04T05:04:37.089Z"),
        ("15m", "2026-03-04T04:51:07.089Z"),
        ("1h", "2026-03-04T04:06:07.089Z"),
        ("7d", "2026-02-25T05:06:07.089Z"),
        ("2w", "2026-02-18T05:06:07.089Z"),
        ("0s", "2026-03-04T05:06:07.089Z"),
        ("2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z"),
        ("2026-01-01T01:00:00.5+01:00", "2026-01-01T00:00:00.500Z"),
    ],
)
def test_since(text: str, time: str) -> None:
    assert parse_since(text, NOW) == Timestamp(time)


@pytest.mark.parametrize(
    "text",
    [
        "", "1", "h", "-1h", "1.5h", "1 h", "1H", "1h30m", "1y", "yesterday", "2026-01-01",
        "\u0661h", "999999999w", "9" * 30 + "s", "2026-01-01T00:00:00",
    ],
)  # fmt: skip
def test_other_text(text: str) -> None:
    with pytest.raises(UsageError, match="neither a duration"):
        parse_since(text, NOW)


def test_option() -> None:
    @click.command()
    @click.option("--since", callback=to_time)
    def command(since: Timestamp | None) -> None:
        found.append(since)

    found: list[Timestamp | None] = []
    before = Timestamp.now()
    command.main(["--since", "0s"], standalone_mode=False)
    command.main([], standalone_mode=False)
    assert found[0] is not None
    assert before <= found[0] <= Timestamp.now()
    assert found[1] is None
    with pytest.raises(click.BadParameter, match="15m"):
        command.main(["--since", "soon"], standalone_mode=False)
