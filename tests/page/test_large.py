"""Stores that are shown in part, with a remark."""

from __future__ import annotations

from uuid import UUID

import pytest
from playwright.sync_api import Page, expect

from mobstore import (
    MeerkatId,
    MeerkatSpawned,
    MobReset,
    MobStores,
    ProfileName,
    SessionId,
    SessionMember,
    StepId,
)
from mobstore.testing.samples import event, full_run, run_id, step
from page.page_tabs import PageTabs, choose, dismiss_notice, go, rows
from page.stores import export

pytestmark = pytest.mark.slow

RUN = str(run_id(1))
MEMBER = SessionMember(session_id=SessionId(UUID(int=1)))


async def large(stores: MobStores) -> None:
    """Write many mobs, many members in the first one, a long ledger and long outputs."""
    await stores.events.append_batch(
        [
            event(
                "mob-000",
                kind=MeerkatSpawned(
                    meerkat_id=MeerkatId(f"member-{n}"),
                    role=ProfileName("r"),
                    member_ref=MEMBER,
                ),
            )
            for n in range(510)
        ]
    )
    await stores.events.append_batch([event(f"mob-{n:03}", kind=MobReset()) for n in range(1, 510)])
    ledger = (step("s", "m", "completed", "x" * 300_000),) * 2
    outputs = {StepId(f"step-{n}"): n for n in range(5_010)}
    run = full_run(mob="mob-000", step_ledger=ledger, root_step_outputs=outputs)
    await stores.runs.create_run(run)


@pytest.fixture(scope="module")
def page(page_tabs: PageTabs, tmp_path_factory: pytest.TempPathFactory) -> Page:
    page = page_tabs.open("large")
    choose(page, "Choose a file", export(large, tmp_path_factory.mktemp("large")))
    dismiss_notice(page, "was imported: 1,019 events, 1 run")
    return page


def test_mobs(page: Page) -> None:
    go(page)
    main = page.get_by_role("main")
    expect(main.get_by_text("10 more mobs are not shown here: a link such as")).to_be_visible()
    expect(main.locator(".card")).to_have_count(500)
    go(page, mob="mob-509")
    expect(page.get_by_role("heading", name="mob-509")).to_be_visible()


def test_members(page: Page) -> None:
    go(page, mob="mob-000")
    main = page.get_by_role("main")
    expect(main.get_by_text("10 more members are not shown here")).to_be_visible()
    expect(main.locator(".card")).to_have_count(500)


def test_outputs(page: Page) -> None:
    go(page, run=RUN, tab="outputs")
    more = page.get_by_role("main").get_by_text("more outputs are not shown here")
    expect(more).to_be_visible()
    expect(page.get_by_label("Outputs", exact=True)).to_have_attribute("aria-rowcount", "5001")


def test_a_long_document(page: Page) -> None:
    go(page, run=RUN, tab="ledger")
    rows(page, "Step ledger").first.click()
    panel = page.get_by_role("complementary")
    expect(panel.get_by_text("Only the beginning is shown.")).to_be_visible()
    assert len(panel.get_by_label("Content").inner_text()) == 200_000
