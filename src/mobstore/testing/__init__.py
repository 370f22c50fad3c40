"""The contract, as cases to run against a store; needs no test framework.

class MySubject(Subject):
    capabilities = frozenset({"durable"})

    async def connect(self) -> MobStores:
        return MobStores(await MyEngine.open(self.path), clock=self.clock)

report = await run_cases(MySubject, required=["durable.*"])
print(report)
assert report.ok
"""

from mobstore.testing.kit import (
    Case,
    Outcome,
    Report,
    Status,
    SubjectFactory,
    all_cases,
    find_subject,
    run_case,
    run_cases,
)
from mobstore.testing.subject import (
    CAPABILITIES,
    Capability,
    FakeClock,
    MemorySubject,
    SqliteSubject,
    Subject,
)

__all__ = [
    "CAPABILITIES",
    "Capability",
    "Case",
    "FakeClock",
    "MemorySubject",
    "Outcome",
    "Report",
    "SqliteSubject",
    "Status",
    "Subject",
    "SubjectFactory",
    "all_cases",
    "find_subject",
    "run_case",
    "run_cases",
]
