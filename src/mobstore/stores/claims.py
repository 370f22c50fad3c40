"""Claims on an engine."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from datetime import datetime, timedelta

from mobstore.codec.arguments import check_flags, text
from mobstore.codec.claims import (
    check_claim,
    claim_name,
    due_time,
    holder_text,
    microseconds,
    run_claim_name as run_claim_name,  # noqa: PLC0414 - public, by way of `_api`
)
from mobstore.model.claim import Claim
from mobstore.model.timestamp import Timestamp
from mobstore.operations import claims
from mobstore.stores.base import EngineStore
from mobstore.stores.keeping import Keeping, releasing


class ClaimStore(EngineStore):
    """Claims: the right of one holder to a name, until it expires or is released.

    The name of a run's claim is `run/` and its id (`run_claim_name`); other names are free. Time is
    that of the machine, read when the writer has its lock, or of the server. If the clock is set
    back, claims last longer; if it is set forward, they expire early. Either way a claim has one
    holder at a time, because each change of holder has a new epoch.

    The reference has no claims.
    """

    async def acquire(self, name: str, holder: str, ttl: float | timedelta) -> Claim | None:
        """Acquire a claim for a holder, unless it is held.

        An expired claim can be acquired; its holder then has lost it. A holder cannot acquire a
        name that it holds, so two tasks with one holder's name never share a claim.

        Args:
            name: the name, 1 to 65,536 bytes in UTF-8; `run/` and an id for a run.
            holder: its holder, such as the name of a worker, of the same lengths.
            ttl: seconds until it expires, unless it is renewed.

        Returns:
            The claim; None if it is held, or put off until later, or its run has ended.

        Raises:
            NotFoundError: the name is that of a run that does not exist.
            UsageError: an argument is wrong.
            WriteFailedError: the counter of epochs is below 1. `verify` repairs it.

        Contract: claims.acquire, claims.one-holder, claims.epochs, claims.expiry, claims.run.
        """
        key, who, time = claim_name(name), holder_text(holder), microseconds(ttl, "ttl")
        return await self._engine.write(lambda: claims.acquire(key, who, time))

    async def renew(self, claim: Claim, ttl: float | timedelta | None = None) -> Claim:
        """Set a later expiry of a claim; its epoch stays.

        Args:
            claim: the claim; expired ones can be renewed until another holder acquires them.
            ttl: seconds from now until it expires; None: as many as before.

        Returns:
            The claim with the new expiry.

        Raises:
            ClaimLostError: it was released, or has another holder.

        Contract: claims.renew, claims.lost.
        """
        held = check_claim(claim)
        time = None if ttl is None else microseconds(ttl, "ttl")
        return await self._engine.write(lambda: claims.renew(held, time))

    async def release(
        self, claim: Claim, not_before: Timestamp | datetime | timedelta | None = None
    ) -> bool:
        """End a claim; nothing changes if it is not its holder's any more.

        Args:
            claim: the claim.
            not_before: the time from which it can be acquired again, or a delay from now, such as
                before a run is tried again; None: at once.

        Returns:
            Whether it was still its holder's.

        Contract: claims.release, claims.release.not-before, claims.release.by-another.
        """
        held = check_claim(claim)
        due = None if not_before is None else due_time(not_before, "not_before")
        with releasing(self._engine, held.name, held) as nothing:
            released = await self._engine.write(lambda: claims.release(held, due))
            if not released:
                nothing()
        return released

    async def put_off(
        self, name: str, not_before: Timestamp | datetime | timedelta | None = None
    ) -> bool:
        """Change from when a free name can be acquired, such as a run that was put off too far.

        Args:
            name: the name, as for `acquire`.
            not_before: the time, or a delay from now; None: at once.

        Returns:
            Whether the name was free. It is not if it is held, even by an expired claim, which
            `release` ends, or if its run has ended.

        Raises:
            NotFoundError: the name is that of a run that does not exist.

        Contract: claims.put-off.
        """
        key = claim_name(name)
        due = None if not_before is None else due_time(not_before, "not_before")
        return await self._engine.write(lambda: claims.put_off(key, due))

    async def get(self, name: str) -> Claim | None:
        """Return the claim on a name, even an expired one; None if it is not held.

        Calls that this process started before have ended when this returns, also those of cancelled
        tasks.

        Contract: claims.get.
        """
        key = claim_name(name)
        await self._engine.settle()
        return await self._engine.read(lambda: claims.get(key))

    async def list(self, *, prefix: str = "", expired: bool | None = None) -> list[Claim]:
        """Return the claims that are held, by name; `run/` lists those on runs.

        Args:
            prefix: the start of their names. Only names with it are read, except that all claims on
                runs are read for any start of them that is longer than `run/`.
            expired: True: only expired ones; False: only others; None: both. Which have expired is
                found by reading all with the prefix.

        Contract: claims.list.
        """
        start = text(prefix, "prefix")
        if expired is not None:
            check_flags(expired=expired)
        return await self._engine.read(lambda: claims.list_claims(start, expired=expired))

    async def hold(self, claim: Claim) -> None:
        """Raise unless a claim is still its holder's; for an atomic call's function.

        Within the function this holds until the call is committed. Outside of one, the claim may be
        lost right afterwards.

        Raises:
            ClaimLostError: it was released, or has another holder.

        Contract: claims.fence.
        """
        held = check_claim(claim)
        await self._engine.write(lambda: claims.hold(held))

    def keep(self, claim: Claim) -> AbstractAsyncContextManager[Claim]:
        """Renew a claim in the background, in `async with`; cancel the block if it is lost.

            async with stores.claims.keep(claim):
                ...

        The claim is renewed on entering and then three times within its `ttl`. It is not released
        at the end. Once another holder has it, or it was released from outside of the block, or it
        could not be renewed in time, the task that entered the block is cancelled, and the block
        raises `ClaimLostError`. Once the block, or a task that it started, has released it by these
        stores, as by `finish_run`, it is no longer renewed, and the block continues.

        This does not replace `atomic(work, claim=claim)`, which fences off writes: a task that
        computes without awaiting cannot be cancelled.

        Raises:
            ClaimLostError: another holder has the claim, it was released from outside of the block
                or before it, or it could not be renewed before it expired.
            UsageError: it is entered twice or without a task, or left in another event loop.

        Contract: claims.keep, claims.keep.lost, claims.keep.released.
        """
        return Keeping(self._engine, check_claim(claim))
