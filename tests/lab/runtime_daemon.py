"""The real daemon as a process of its own, to be killed and started again: `python runtime_daemon.py CONFIG IMAGES`."""

import asyncio
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from runtime_stand_in import StandIn, StandInLayers

from groundplane.aio import serve_until_signal
from groundplane.observe import set_up
from groundplane.runtime import config, server

if __name__ == "__main__":
    os.environ["GRPC_ENABLE_FORK_SUPPORT"] = "0"
    set_up()
    where = Path(sys.argv[2])

    async def main() -> None:
        await server.prepare_loop()
        found = config.load(Path(sys.argv[1]))
        await serve_until_signal(server.serve(found, images=StandIn(where), layers=StandInLayers(where)))

    asyncio.run(main())
