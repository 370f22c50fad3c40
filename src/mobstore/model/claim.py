"""Claims: the holders of names and of runs, until they expire."""

from uuid import UUID

from mobstore.model.record import U64, Record
from mobstore.model.run import RunHeader
from mobstore.model.timestamp import Timestamp

RUN_PREFIX = "run/"
"""The start of the name of a run's claim; the id of the run follows."""


class Claim(Record):
    """The right of one holder to a name, until it expires or is released.

    A claim is lost once another holder has it, or it was released. An expired claim that no other
    holder has acquired is still its holder's, and can be renewed.

    Attributes:
        name: the name; `run/` and the id for a run's claim.
        holder: its holder, such as the name of a worker.
        epoch: grows with every change of holder, over all names of the store, and never falls.
        expires_at: the time from which others can acquire it, by the store's clock.
        ttl: seconds from each renewal until it expires.
    """

    name: str
    holder: str
    epoch: U64
    expires_at: Timestamp
    ttl: float

    @property
    def run_id(self) -> UUID | None:
        """The run that it is a claim on, or None."""
        if not self.name.startswith(RUN_PREFIX):
            return None
        return UUID(self.name.removeprefix(RUN_PREFIX))


class RunClaim(Claim):
    """A claim on a run, with the run's header as it was when the run was claimed."""

    run: RunHeader
