"""The sample of the page: the recorded database of meerkat-mob, with plausible ends of its runs.

The events of the recording have made-up times, but meerkat-mob took the end of each run from the
clock of the day of recording, months later. Here a run ends with its last event. The recording
itself stays as it is, because tests compare with it.
"""

import gzip
import json
import sqlite3
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

RECORDING = (
    Path(__file__).resolve().parents[2] / "tests" / "golden" / "tide-desk-meerkat-0.5.2.db.gz"
)


def make_sample() -> bytes:
    """Return the database. Its bytes do not depend on the SQLite of this machine.

    Raises:
        ValueError: the recording has another form than expected.
    """
    content = gzip.decompress(RECORDING.read_bytes())
    for recorded, new in _ends(content):
        if content.count(recorded.encode()) != 1 or len(recorded) != len(new):
            raise ValueError(f"{recorded} cannot be replaced in the recording")
        content = content.replace(recorded.encode(), new.encode())
    return content


def _ends(content: bytes) -> list[tuple[str, str]]:
    """Return the recorded end of each run that has one, and the new one of the same length."""
    with TemporaryDirectory() as folder:
        file = Path(folder, "sample.db")
        file.write_bytes(content)
        with closing(sqlite3.connect(file)) as database:
            runs = database.execute("SELECT run_json FROM mob_runs").fetchall()
            events = database.execute("SELECT event_json FROM mob_events ORDER BY cursor")
            last: dict[str, str] = {}  # times, by run
            for (text,) in events:
                event = json.loads(text)
                if "run_id" in event["kind"]:
                    last[event["kind"]["run_id"]] = event["timestamp"]
    decoded = [json.loads(text) for (text,) in runs]
    return [
        (run["completed_at"], _rounded_up(last[run["run_id"]], run["completed_at"]))
        for run in decoded
        if run["completed_at"] is not None
    ]


def _rounded_up(time: str, like: str) -> str:
    """Return a time, rounded up to microseconds unless the other one has more digits."""
    if len(like) == len(time):
        return time
    microseconds = int(time[20:26]) + (time[26:29] != "000")
    return f"{time[:20]}{microseconds:06}Z"
