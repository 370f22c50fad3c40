"""Rules of claims on names and runs, of the next run to claim, and of time that passes."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

import mobstore
from mobstore import Claim, NewMobEvent, Timestamp
from state_machine.oracle import NOT_FOUND, Oracle, Refusal, plain
from state_machine.pools import FLOWS, RUN_IDS, STATUSES, TIMES, mobs
from state_machine.times import to_nanoseconds, to_text

SECOND = 10**9
ACTIVE = STATUSES[:2]
NAMES = ["n", "n\0\uffff", *(f"run/{run_id}" for run_id in RUN_IDS)]
names, holders = st.sampled_from(NAMES), st.sampled_from(["ann", "bob"])
times_to_live = st.sampled_from([1.0, 2.5])
recent = st.integers(1, 6)
"""Which of the claims that were ever returned, counted from the last one."""


class Claims(Oracle):
    """Rules of claims; the oracle has a dict with `due`, `holder`, `epoch` and `ttl` of each."""

    @property
    def _now(self) -> int:
        return to_nanoseconds(self.subject.now)

    @rule(duration=st.sampled_from([1, 1000, SECOND // 2, SECOND - 1000, SECOND, 3 * SECOND]))
    def moments_pass(self, duration: int) -> None:
        self.subject.now = to_text(self._now + duration)

    # What the contract says -----------------------------------------------------------------------

    def _take(self, name: str, holder: str, ttl: float) -> dict[str, Any]:
        due = self._now + int(ttl * SECOND)
        self.claims[name] = {"due": due, "holder": holder, "epoch": self.next_epoch, "ttl": ttl}
        self.next_epoch += 1
        return self.claim_document(name)

    def _lost(self, claim: Claim) -> Refusal | None:
        held = self.claims.get(claim.name)
        start = f"Claim lost: claim {claim.name} of {claim.holder}, epoch {claim.epoch}: "
        if held is None or not held["holder"]:
            return Refusal("ClaimLostError", f"{start}it was released")
        if (held["holder"], held["epoch"]) != (claim.holder, claim.epoch):
            return Refusal(
                "ClaimLostError", f"{start}{held['holder']} holds it, epoch {held['epoch']}"
            )
        return None

    # Rules ----------------------------------------------------------------------------------------

    @rule(name=names, holder=holders, ttl=times_to_live)
    def acquire(self, name: str, holder: str, ttl: float) -> None:
        expected: Any = None
        run_id = name.removeprefix("run/")
        held = self.claims.get(name)
        if run_id != name and run_id not in self.runs:
            expected = self.refusal(NOT_FOUND, f"run not found: {run_id}")
        elif (held is None or held["due"] <= self._now) and (
            run_id == name or self.runs[run_id]["status"] in ACTIVE
        ):
            expected = self._take(name, holder, ttl)
        self._keep(self.same(self.stores.claims.acquire(name, holder, ttl), expected))

    @precondition(lambda self: self.given)
    @rule(which=recent, ttl=st.none() | times_to_live)
    def renew(self, which: int, ttl: float | None) -> None:
        claim = self.given[-which:][0]
        expected: Any = self._lost(claim)
        if expected is None:
            held = self.claims[claim.name]
            held["ttl"] = ttl or held["ttl"]
            held["due"] = self._now + int(held["ttl"] * SECOND)
            expected = self.claim_document(claim.name)
        self._keep(self.same(self.stores.claims.renew(claim, ttl), expected))

    @precondition(lambda self: self.given)
    @rule(which=recent, delay=st.none() | st.sampled_from([0, 1, 2]) | st.sampled_from(TIMES))
    def release(self, which: int, delay: Any) -> None:
        claim = self.given[-which:][0]
        done = self._lost(claim) is None
        not_before: Any = None
        due = self._now
        if isinstance(delay, str):
            not_before, due = Timestamp(delay), to_nanoseconds(delay)
        elif delay is not None:
            not_before, due = timedelta(seconds=delay), due + delay * SECOND
        if done:
            run = self.runs.get(claim.name.removeprefix("run/"))
            if (run is None and delay is None) or (run and run["status"] not in ACTIVE):
                del self.claims[claim.name]
            else:
                self.claims[claim.name].update(holder="", due=due)
        self.same(self.stores.claims.release(claim, not_before), done)

    @precondition(lambda self: self.given)
    @rule(which=recent, mob=mobs)
    def write_behind_a_fence(self, which: int, mob: str) -> None:
        """Append an event in an atomic call that holds a claim."""
        claim = self.given[-which:][0]
        expected: Any = self._lost(claim)
        if expected is None:
            now = self.subject.now
            kind = {"type": "mob_reset"}
            event = {"cursor": self.next_cursor, "timestamp": now, "mob_id": mob, "kind": kind}
            self.events.append(event)
            expected, self.next_cursor = event, self.next_cursor + 1

        async def append(at: mobstore.Stores) -> mobstore.MobEvent:
            event = NewMobEvent(mob_id=mobstore.MobId(mob), kind=mobstore.MobReset())
            appended = await at.events.append(event)
            await at.claims.hold(claim)
            return appended

        held = claim if which % 2 else None
        self.same(self.stores.atomic(append, claim=held), expected)

    @rule(
        holder=holders,
        ttl=times_to_live,
        statuses=st.sampled_from([["pending"], ["running"], ACTIVE]),
        mob=st.none() | mobs,
        flow=st.none() | st.sampled_from(FLOWS),
        most=st.none() | st.integers(1, 2),
    )
    def claim_next(
        self,
        holder: str,
        ttl: float,
        statuses: Any,
        mob: str | None,
        flow: str | None,
        most: int | None,
    ) -> None:
        flow = None if mob is None else flow
        own = [
            name
            for name, claim in self.claims.items()
            if name.startswith("run/") and claim["holder"] == holder and claim["due"] > self._now
        ]
        due = [
            (self.claims[f"run/{run_id}"]["due"], number, run_id)
            for number, (run_id, run) in enumerate(self.runs.items())
            if run["status"] in statuses
            and mob in {None, run["mob_id"]}
            and flow in {None, run["flow_id"]}
        ]
        expected: Any = None
        if due and min(due)[0] <= self._now and (most is None or len(own) < most):
            run_id = min(due)[2]
            expected = self._take(f"run/{run_id}", holder, ttl)
            expected["run"] = self.header_document(run_id)
        call = self.stores.runs.claim_next(
            holder, ttl=ttl, statuses=statuses, mob_id=mob, flow_id=flow, most=most
        )
        self._keep(self.same(call, expected))

    @rule(prefix=st.sampled_from(["", "n", "run/"]), expired=st.none() | st.booleans())
    def list_claims(self, prefix: str, expired: bool | None) -> None:
        expected = [
            self.claim_document(name)
            for name in sorted(self.claims)
            if self.claims[name]["holder"]
            and name.startswith(prefix)
            and expired in {None, self.claims[name]["due"] <= self._now}
        ]
        self.same(self.stores.claims.list(prefix=prefix, expired=expired), expected)

    def _keep(self, got: Any) -> None:
        if isinstance(got, Claim):
            self.given.append(got)

    async def check_claims(self, stores: mobstore.MobStores) -> None:
        for name in NAMES:
            held = self.claims.get(name)
            expected = self.claim_document(name) if held is not None and held["holder"] else None
            assert plain(await stores.claims.get(name)) == expected, name
        for run_id in RUN_IDS:
            header: Any = self.header_document(run_id) if run_id in self.runs else None
            found = plain(await stores.runs.get_run_header(run_id))
            assert found == header, run_id
