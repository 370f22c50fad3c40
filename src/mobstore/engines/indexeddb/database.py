"""Connections to databases: opening, laying out, refusing; the browser's errors in our words.

The version of a database is the format of its tables. One of an older version is upgraded: what it
lacks is created. Another tab that has it open lets go of it when it is asked to.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Literal, TypeAlias

from mobstore.engines.indexeddb.conversion import create_object_stores
from mobstore.engines.indexeddb.javascript import Browser, Database, Fault, JsValue, Transaction
from mobstore.errors import MobStoreError, ReadFailedError, SerializationError, WriteFailedError
from mobstore.scripts.tables import FORMAT, TABLES
from mobstore.scripts.transaction import Durability

Mode: TypeAlias = Literal["readonly", "readwrite"]

_DURABILITY: dict[Durability, str] = {"full": "strict", "normal": "relaxed"}


_LEAST_SECONDS = 1.0  # a browser that is not held up needs some time, too


class Connection:
    """An open database, until another tab or the browser takes it away.

    Attributes:
        browser: the browser.
        lost: is called when it has been taken away; to be set.
    """

    def __init__(
        self, browser: Browser, database: Database, name: str, durability: Durability
    ) -> None:
        self.browser: Browser = browser
        self._database, self._name = database, name
        self._transaction = database.transaction
        self._tables = browser.array(*(table.name for table in TABLES))
        self._options = browser.value({"durability": _DURABILITY[durability]})
        self._gone: str | None = None
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

        With `read_only` it is opened as it is: neither created nor upgraded.

        Raises:
            ReadFailedError: it cannot be opened or must not be: another program's, a newer format;
                or the browser has not opened it in `timeout` seconds, or in one if that is more.
            WriteFailedError: there is no room for it.
        """
        opening = _Opening(browser, name, create=create, read_only=read_only)
        timeout = max(timeout, _LEAST_SECONDS)
        try:
            async with asyncio.timeout(timeout):
                database = await opening.future
        except TimeoutError as error:
            # While another tab upgrades or deletes the database, the browser tells nothing at all.
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
            ReadFailedError: the database is gone, for one that reads.
            WriteFailedError: the same, for one that writes.
        """
        if self._gone is None:
            try:
                return self._transaction(self._tables, mode, self._options)
            except self.browser.Error as error:
                if getattr(error, "name", "") == "InvalidStateError":  # it was closed under us
                    self._on_close()
                raise self.said(error, mode) from error
        raise _kind(mode)(self._gone)

    def close(self) -> None:
        """Let go of the database; transactions that have begun still end."""
        self._database.close()
        while self._handlers:
            self._handlers.pop().destroy()

    def said(self, fault: Fault | Exception | None, mode: Mode) -> MobStoreError:
        """What the browser refused, in our words."""
        return _kind(mode)(self._gone) if self._gone else _translate(fault, self._name, mode)

    def damaged(self, error: Exception) -> MobStoreError:
        """What to say of values that no script expects: arguments were checked before it ran."""
        said = SerializationError(
            f"'{self._name}' holds a value that mobstore did not write; the cause says more"
        )
        said.__cause__ = error
        return said

    def _on_versionchange(self, event: JsValue) -> None:
        """Another tab wants to upgrade or delete the database; it cannot while we hold it."""
        self._database.close()
        self._lose(
            f"'{self._name}' is being upgraded by another tab; reload this page"
            if event.newVersion
            else f"'{self._name}' was deleted while it was open; open the store again"
        )

    def _on_close(self, _: JsValue = None) -> None:
        self._lose(
            f"the browser has closed '{self._name}', perhaps since the site's data were cleared;"
            " open the store again"
        )

    def _lose(self, why: str) -> None:
        """Refuse all calls from now on, and have those who wait for commits learn of it."""
        if self._gone is None:
            self._gone = why
            if self.lost is not None:
                self.lost()


def _kind(mode: Mode) -> type[ReadFailedError | WriteFailedError]:
    return WriteFailedError if mode == "readwrite" else ReadFailedError


class _Opening:
    """One request to open a database, until it has ended, even if nobody waits for it any more."""

    def __init__(self, browser: Browser, name: str, *, create: bool, read_only: bool) -> None:
        self.future: asyncio.Future[Database] = asyncio.get_running_loop().create_future()
        self.blocked = False
        self._browser, self._name = browser, name
        self._create, self._read_only = create and not read_only, read_only
        self._refusal: MobStoreError | None = None
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
                self._refuse_foreign(database, {table.name for table in TABLES})
            elif getattr(event, "dataLoss", "none") != "none":  # Chromium says so, once
                raise ReadFailedError(
                    f"the browser found its files of this site damaged and has removed them, and"
                    f" with them '{self._name}' if it was there; open it again to begin anew"
                )
            elif not self._create:
                raise ReadFailedError(
                    f"there is no '{self._name}' in this browser; is the name right?"
                )
            create_object_stores(self._browser, database, transaction)
        except MobStoreError as error:
            self._refusal = error
            transaction.abort()
        except self._browser.Error as error:
            self._refusal = _translate(error, self._name, "readwrite")
            transaction.abort()

    def _on_success(self, _: JsValue) -> None:
        database: Database = self._request.result
        self._end()
        try:
            if self._read_only:
                self._refuse_other_formats(database)
            self._refuse_foreign(database, set())
        except ReadFailedError as error:
            self._refusal = error
        if self._refusal is None and not self.future.done():
            self.future.set_result(database)
        else:  # also where nobody waits any more
            database.close()
            self._refuse()

    def _on_error(self, event: JsValue) -> None:
        event.preventDefault()  # it is told to the caller; the browser's console need not know
        fault = self._request.error
        self._end()
        if fault is not None and fault.name == "VersionError":
            self._refusal = self._newer()
        self._refusal = self._refusal or _translate(fault, self._name, "readonly")
        self._refuse()

    def _on_blocked(self, _: JsValue) -> None:
        self.blocked = True

    def _refuse(self) -> None:
        if self._refusal is not None and not self.future.done():
            self.future.set_exception(self._refusal)

    def _newer(self) -> ReadFailedError:
        return ReadFailedError(
            f"'{self._name}' was written by a newer mobstore, this one knows format {FORMAT};"
            " reload the page to get the newer one"
        )

    def _refuse_other_formats(self, database: Database) -> None:
        """Refuse to read what was written in another format, where it must not be upgraded."""
        if database.version > FORMAT:
            raise self._newer()
        if database.version < FORMAT:
            self._refuse_foreign(database, {table.name for table in TABLES})
            raise ReadFailedError(
                f"'{self._name}' was written by an older mobstore, in format {database.version};"
                " open it once without read_only=True, which upgrades it"
            )

    def _refuse_foreign(self, database: Database, missing: set[str]) -> None:
        """Refuse what is not ours: `missing` may be missing, nothing else may be there."""
        there, ours = set(database.objectStoreNames), {table.name for table in TABLES}
        if not ours - missing <= there <= ours or not there:
            raise ReadFailedError(
                f"'{self._name}' is a database of another program; name another one"
            )

    def _end(self) -> None:
        for handler in self._handlers:
            handler.destroy()


def _translate(fault: Fault | Exception | None, name: str, mode: Mode) -> MobStoreError:
    """Say in our words what the browser refused; its own text may quote what was stored."""
    kind = _kind(mode)
    error = "an unnamed error" if fault is None else getattr(fault, "name", "an unnamed error")
    if error == "QuotaExceededError":
        return WriteFailedError(
            "the browser has no room left for this site; erase something or free disk space",
            retry_safe=True,
        )
    if error == "SecurityError":
        return ReadFailedError(
            "the browser lets this page keep nothing; open it in an ordinary window, outside of"
            " sandboxed frames, and let the site keep data"
        )
    if error in {"AbortError", "InvalidStateError", "UnknownError"}:
        return kind(
            f"the browser gave up '{name}' ({error}); open the store again. If that fails too,"
            " the disk may be full or the site's data may be damaged"
        )
    return kind(f"the browser refused '{name}': {error}")
