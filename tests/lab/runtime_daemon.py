"""The real daemon as a process of its own, to be killed and started again.

`python runtime_daemon.py CONFIG IMAGES FLAGS…`
"""

import asyncio
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from groundplane.aio import serve_until_signal
from groundplane.observe import set_up
from groundplane.runtime import config, server
from groundplane.system import mount, netns
from tests.lab.runtime_stand_in import StandIn, StandInLayers

if __name__ == "__main__":
    os.environ["GRPC_ENABLE_FORK_SUPPORT"] = "0"
    set_up()
    flags = sys.argv[3:]
    if "own-network" in flags:
        netns.unshare(netns.CLONE_NEWNET)
    if "v1-only" in flags:  # as a lab host has it: no v2 hierarchy to be seen
        netns.unshare(netns.CLONE_NEWNS)
        mount.make_private(Path("/"))
        mount.unmount(Path("/sys/fs/cgroup/unified"))
    where = Path(sys.argv[2])

    async def main() -> None:
        await server.prepare_loop()
        found = config.load(Path(sys.argv[1]))
        await serve_until_signal(server.serve(found, images=StandIn(where), layers=StandInLayers(where)))

    asyncio.run(main())
