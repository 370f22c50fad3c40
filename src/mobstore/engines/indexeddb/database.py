"""Connections to databases: opening, creating and upgrading; translation of the browser's errors.

The version of a database is the format of its tables. Opening a database of an earlier format
upgrades it (`upgrade.py`). Other tabs that have it open close it when the browser sends them
`versionchange`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Literal, TypeAlias

from mobstore.engines.clock import machine_time
from mobstore.engines.indexeddb.javascript import Browser, Database, Fault, JsValue, Transaction
from mobstore.engines.indexeddb.upgrade import upgrade
from mobstore.errors import MobStoreError, ReadFailedError, SerializationError, WriteFailedError
from mobstore.scripts.tables import FORMAT, TABLES
from mobstore.scripts.transaction import Durability

Mode: TypeAlias = Literal["readonly", "readwrite"]

_DURABILITY: dict[Durability, str] = {"full": "strict", "normal": "relaxed"}


_LEAST_SECONDS = 1.0  # an idle browser needs some time, too


class Connection:
    """An open database, until another tab or the browser closes it.

    Attributes:
        browser: the browser.
        now: answers `Now`.
        lost: a function to call when the database has been closed from outside; to be set.
    """

    def __init__(
        self, browser: Browser, database: Database, name: str, durability: Durability
    ) -> None:
        self.browser: Browser = browser
        self._database, self._name = database, name
        self._transaction = database.transaction
        self._tables = browser.array(*(table.name for table in TABLES))
        self._options = browser.value({"durability": _DURABILITY[durability]})
        self._closed_by: str | None = None
        self.now: Callable[[], str] = machine_time
        self.lost: Callable[[], None] | None = None
        self._handlers = [browser.handler(self._on_versionchange), browser.handler(self._on_close)]
        database.onversionchange, database.onclose = self._handlers

    @classmethod
    async def open(
        cls,
        browser: Browser,
        name: str,
        *,
        durability: Durability,
        create: bool,
        timeout: float,
        read_only: bool,
    ) -> Connection:
        """Open a database of the page's origin; `create` it if it is missing.

        With `read_only` it is neither created nor upgraded.

        Raises:
            ReadFailedError: the database cannot be opened, belongs to another program or has a
                newer format; or the browser did not open it within `timeout` seconds, at least 1.
            WriteFailedError: the browser has no space for it.
        """
        opening = _Opening(browser, name, create=create, read_only=read_only)
        timeout = max(timeout, _LEAST_SECONDS)
        try:
            async with asyncio.timeout(timeout):
                database = await opening.future
        except TimeoutError as error:
            # While another tab upgrades or deletes the database, the browser fires no event.
            reason = (
                "holds an older version of it open"
                if opening.blocked
                else "may be upgrading or deleting it, or the browser is busy"
            )
            raise ReadFailedError(
                f"the browser did not open '{name}' in {timeout:g} s; another tab {reason}."
                " Close the other tabs of this site and try again",
                retry_safe=True,
            ) from error
        return cls(browser, database, name, durability)

    def begin(self, mode: Mode) -> Transaction:
        """Begin a transaction over all tables.

        Raises:
            ReadFailedError: the database was closed from outside; for a reading transaction.
            WriteFailedError: the same, for a writing transaction.
        """
        if self._closed_by is None:
            try:
                return self._transaction(self._tables, mode, self._options)
            except self.browser.Error as error:
                if getattr(error, "name", "") == "InvalidStateError":  # closed without an event
                    self._on_close()
                raise self.translate(error, mode) from error
        raise _error_class(mode)(self._closed_by)

    def close(self) -> None:
        """Release the database; transactions under way still complete."""
        self._database.close()
        while self._handlers:
            self._handlers.pop().destroy()

    def translate(self, fault: Fault | Exception | None, mode: Mode) -> MobStoreError:
        """Return the error for a failure in the browser."""
        if self._closed_by:
            return _error_class(mode)(self._closed_by)
        return _translate(fault, self._name, mode)

    def corruption(self, error: Exception) -> MobStoreError:
        """Return the error for stored values that no script expects.

        Arguments are checked before a script runs, so only stored values can be wrong.
        """
        return _corruption(error, self._name)

    def _on_versionchange(self, event: JsValue) -> None:
        """Close the database, since another tab is waiting to upgrade or delete it."""
        self._database.close()
        self._lose(
            f"'{self._name}' is being upgraded by another tab; reload this page"
            if event.newVersion
            else f"'{self._name}' was deleted while it was open; open the store again"
        )

    def _on_close(self, _: JsValue = None) -> None:
        self._lose(
            f"the browser closed '{self._name}', perhaps because the site's data were cleared;"
            " open the store again, or reload the page if that fails"
        )

    def _lose(self, reason: str) -> None:
        """Fail all further calls, and notify the listeners so that they fail, too."""
        if self._closed_by is None:
            self._closed_by = reason
            if self.lost is not None:
                self.lost()


def _error_class(mode: Mode) -> type[ReadFailedError | WriteFailedError]:
    return WriteFailedError if mode == "readwrite" else ReadFailedError


class _Opening:
    """One request to open a database, until it ends, even if no task awaits it any more."""

    def __init__(self, browser: Browser, name: str, *, create: bool, read_only: bool) -> None:
        self.future: asyncio.Future[Database] = asyncio.get_running_loop().create_future()
        self.blocked = False
        self._browser, self._name = browser, name
        self._create, self._read_only = create and not read_only, read_only
        self._error: MobStoreError | None = None
        try:
            self._request = browser.open(name) if read_only else browser.open(name, FORMAT)
        except browser.Error as error:
            raise _translate(error, name, "readonly") from error
        self._handlers = [
            browser.handler(handle)
            for handle in (self._on_upgrade, self._on_success, self._on_error, self._on_blocked)
        ]
        (
            self._request.onupgradeneeded,
            self._request.onsuccess,
            self._request.onerror,
            self._request.onblocked,
        ) = self._handlers

    def _on_upgrade(self, event: JsValue) -> None:
        database, transaction = self._request.result, self._request.transaction
        try:
            if event.oldVersion:
                self._require_tables(database, optional={table.name for table in TABLES})
            elif getattr(event, "dataLoss", "none") != "none":  # Chromium reports it once
                raise ReadFailedError(
                    "the browser found its files of this site damaged and has removed them, and"
                    f" with them '{self._name}' if it existed; open it again to create a new one"
                )
            elif not self._create:
                raise ReadFailedError(
                    f"there is no '{self._name}' in this browser; check the name, or create it"
                )
            upgrade(self._browser, database, transaction, event.oldVersion, self._fail_upgrade)
        except (MobStoreError, self._browser.Error) as error:
            self._fail_upgrade(error)

    def _fail_upgrade(self, error: Exception) -> None:
        """Leave the database as it was."""
        if isinstance(error, MobStoreError):
            self._error = error
        elif isinstance(error, self._browser.Error):
            self._error = _translate(error, self._name, "readwrite")
        else:
            self._error = _corruption(error, self._name)
        self._request.transaction.abort()

    def _on_success(self, _: JsValue) -> None:
        database: Database = self._request.result
        self._end()
        try:
            if self._read_only:
                self._require_format(database)
            self._require_tables(database)
        except ReadFailedError as error:
            self._error = error
        if self._error is None and not self.future.done():
            self.future.set_result(database)
        else:  # also if no task awaits it any more
            database.close()
            self._fail()

    def _on_error(self, event: JsValue) -> None:
        event.preventDefault()  # the caller gets the error; keep it out of the browser's console
        fault = self._request.error
        self._end()
        if fault is not None and fault.name == "VersionError":
            self._error = self._newer_format()
        self._error = self._error or _translate(fault, self._name, "readonly")
        self._fail()

    def _on_blocked(self, _: JsValue) -> None:
        self.blocked = True

    def _fail(self) -> None:
        if self._error is not None and not self.future.done():
            self.future.set_exception(self._error)

    def _newer_format(self) -> ReadFailedError:
        return ReadFailedError(
            f"'{self._name}' was written by a newer mobstore, this one knows format {FORMAT};"
            " reload the page to get the newer one"
        )

    def _require_format(self, database: Database) -> None:
        """Reject any other format, for a database that must not be upgraded."""
        if database.version > FORMAT:
            raise self._newer_format()
        if database.version < FORMAT:
            self._require_tables(database, optional={table.name for table in TABLES})
            raise ReadFailedError(
                f"'{self._name}' was written by an older mobstore, in format {database.version};"
                " open it once without read_only=True to upgrade it"
            )

    def _require_tables(
        self, database: Database, *, optional: frozenset[str] | set[str] = frozenset()
    ) -> None:
        """Reject a database of another program: all tables but `optional` ones, and no others."""
        found, expected = set(database.objectStoreNames), {table.name for table in TABLES}
        if not expected - optional <= found <= expected or not found:
            raise ReadFailedError(
                f"'{self._name}' is a database of another program; use another name"
            )

    def _end(self) -> None:
        for handler in self._handlers:
            handler.destroy()


def _corruption(error: Exception, name: str) -> MobStoreError:
    """Return the error for stored values that mobstore did not write."""
    translated = SerializationError(
        f"'{name}' holds a value that mobstore did not write; the cause says more"
    )
    translated.__cause__ = error
    return translated


def _translate(fault: Fault | Exception | None, name: str, mode: Mode) -> MobStoreError:
    """Return the error for a failure in the browser, without its text: it may quote stored data."""
    error_class = _error_class(mode)
    error = "an unnamed error" if fault is None else getattr(fault, "name", "an unnamed error")
    if error == "QuotaExceededError":
        return WriteFailedError(
            "the browser has no space left for this site; delete something or free disk space",
            retry_safe=True,
        )
    if error == "SecurityError":
        return ReadFailedError(
            "the browser does not let this page store anything; open it in an ordinary window,"
            " outside of sandboxed frames, and allow the site to store data"
        )
    if error in {"AbortError", "InvalidStateError", "UnknownError"}:
        return error_class(
            f"the browser aborted work on '{name}' ({error}); open the store again, or reload the"
            " page if that fails. If that does not help, the disk may be full or the site's data"
            " may be damaged"
        )
    return error_class(f"the browser rejected '{name}': {error}")
