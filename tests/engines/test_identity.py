"""Files of an open store that are removed or replaced."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from mobstore import ReadFailedError, WriteFailedError
from mobstore.engines.sqlite.identity import FileIdentity

SIDES = ["", "-wal", "-shm"]


@pytest.fixture(params=["a directory just changed", "one that was not for long"])
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    path = tmp_path / "stores" / "mobs.db"
    path.parent.mkdir()
    for suffix in SIDES:
        Path(f"{path}{suffix}").write_text("content")
    if request.param == "one that was not for long":
        os.utime(path.parent, (1, 1))
    return path


@pytest.mark.parametrize("suffix", SIDES)
@pytest.mark.parametrize("how", ["removed", "replaced", "moved away"])
def test_each_file_counts(path: Path, suffix: str, how: str) -> None:
    side = Path(f"{path}{suffix}")
    files = FileIdentity(path)
    for _ in range(3):
        assert files.intact()
    if how == "removed":
        side.unlink()
    elif how == "replaced":
        Path(shutil.copy(side, f"{side}.new")).replace(side)
    else:
        side.rename(f"{side}.old")
    assert not files.intact()
    for refusal in (ReadFailedError, WriteFailedError):
        with pytest.raises(refusal, match=f"{side} was removed or replaced while it was open"):
            files.check(refusal)


def test_the_directory_counts(path: Path) -> None:
    files = FileIdentity(path)
    files.check(ReadFailedError)
    path.parent.rename(path.parent.with_name("away"))
    assert not files.intact()
    with pytest.raises(ReadFailedError, match=r"mobs.db was removed"):
        files.check(ReadFailedError)


def test_other_changes_do_not_count(path: Path) -> None:
    files = FileIdentity(path)
    for n in range(3):
        (path.parent / f"other-{n}").touch()
        path.write_text(f"{n}")
        assert files.intact()
