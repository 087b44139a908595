"""The life of a daemon: start in order, say ready, wait for a signal, leave the block to stop in reverse."""

import asyncio
import os
import signal
import socket
from contextlib import AbstractAsyncContextManager


async def serve_until_signal(daemon: AbstractAsyncContextManager[object]) -> None:
    """Enter `daemon`, say READY=1 (sd_notify(3)), wait for SIGTERM or SIGINT, leave it."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with daemon:
        notify("READY=1")
        await stop.wait()
        notify("STOPPING=1")


def notify(state: str) -> None:
    """Send one sd_notify(3) datagram; does nothing where no service manager listens."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    if address.startswith("@"):
        address = "\0" + address[1:]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as out:
        out.sendto(state.encode(), address)
