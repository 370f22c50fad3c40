"""Commit listeners."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeAlias, cast

from mobstore.engines.forks import Locked
from mobstore.scripts.tables import Index, Key, Table
from mobstore.scripts.transaction import Add, Delete, Put, Scan, Write

_Wake: TypeAlias = Callable[[], None]
_Group: TypeAlias = tuple[Index[Any], int]
"""An index, and the number of its values that scans of listeners fix."""


class Listeners(Locked):
    """Functions that are called after a commit. Any thread may add, remove and notify.

    A listener to one mob among thousands adds no cost to the commits of the others: it is found by
    the values that its scan and the written rows share.
    """

    def __init__(self) -> None:
        super().__init__()
        self._wakes: dict[object, _Wake] = {}
        self._by_prefix: dict[Table[Any], dict[_Group, dict[Key, dict[object, None]]]] = {}
        self._to_all: dict[object, None] = {}

    def add(self, wake: _Wake, to: Scan[Any] | None = None) -> Callable[[], None]:
        """Call a function from now on, after each commit that concerns a scan; see `Engine.listen`.

        Returns:
            A function that removes the listener; a second call does nothing.
        """
        listener = object()
        with self._lock:
            self._wakes[listener] = wake
            if to is None:
                self._to_all[listener] = None
            else:
                groups = self._by_prefix.setdefault(to.index.table, {})
                group = groups.setdefault((to.index, len(to.prefix)), {})
                group.setdefault(to.prefix, {})[listener] = None

        def end() -> None:
            with self._lock:
                if self._wakes.pop(listener, None) is None:
                    return
                if to is None:
                    del self._to_all[listener]
                else:
                    self._remove(listener, to)

        return end

    def __len__(self) -> int:
        return len(self._wakes)

    def notify(self, writes: Iterable[Write] | None = None) -> None:
        """Call the listeners that writes concern; all of them if the writes are not known.

        An exception of a listener is logged: the commit has happened, and the others are still
        called. Exceptions that end the process or the task are raised once all have been called.
        """
        if not self._wakes:
            return
        with self._lock:
            if writes is None:
                wakes = list(self._wakes.values())
            else:
                found = dict(self._to_all)
                for write in writes:
                    for listeners in self._concerned(write):
                        found |= listeners
                wakes = [self._wakes[listener] for listener in found]
        ending: BaseException | None = None
        for wake in wakes:
            try:
                wake()
            except Exception:
                import logging  # rarely needed

                logging.getLogger("mobstore").exception("a commit listener raised")
            except BaseException as error:  # noqa: BLE001 - raised below
                ending = ending or error
        if ending is not None:
            raise ending

    def _concerned(self, write: Write) -> Iterator[dict[object, None]]:
        table = write.table if isinstance(write, (Add, Put, Delete)) else write.scan.index.table
        for (index, given), group in self._by_prefix.get(table, {}).items():
            keys: Iterable[Key]
            if isinstance(write, Put) and write.later and index is not table:
                keys = ()
            elif isinstance(write, (Add, Put)):
                values = table.getter(index.sorted_by[:given])
                keys = {values(row) for row in cast("Iterable[Any]", write.rows)}
            elif index is not table:
                keys = ()
            elif isinstance(write, Delete):
                keys = (write.key[:given],)
            else:
                keys = group
            for key in keys:
                if key in group:
                    yield group[key]

    def _remove(self, listener: object, to: Scan[Any]) -> None:
        """Remove a listener, and the groups that are empty without it."""
        groups = self._by_prefix[to.index.table]
        group = groups[to.index, len(to.prefix)]
        del group[to.prefix][listener]
        if not group[to.prefix]:
            del group[to.prefix]
        if not group:
            del groups[to.index, len(to.prefix)]
        if not groups:
            del self._by_prefix[to.index.table]
