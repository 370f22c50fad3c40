"""Creates runs of the flow.

python submit.py URL NUMBER
"""

import asyncio
import sys

import mobstore
from mobstore import FlowRunConfig, MobRun
from runner.flow import DEFINITION


async def main(url: str, number: int) -> None:
    """Create that many runs."""
    config = FlowRunConfig.from_definition("story", DEFINITION)
    state = MobRun.flow_state_for_config(config)
    async with mobstore.open_stores(url) as stores:
        for topic in range(number):
            await stores.runs.create_run(
                MobRun.pending(DEFINITION.id, config.flow_id, state, {"topic": topic})
            )


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
