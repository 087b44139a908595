"""Whether the kernel brings IP-in-IP of its own."""

import functools
import threading

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

from groundplane.system import netns


@functools.cache
def kernel_has_ipip() -> bool:
    """Whether an `ipip` device can be made: tried once, in a network namespace that ends with the attempt."""
    answer: list[bool] = []
    errors: list[BaseException] = []

    def inside() -> None:
        try:
            netns.unshare(netns.CLONE_NEWNET)
            with IPRoute() as ip:
                answer.append(_try(ip))
        except BaseException as failed:  # noqa: BLE001 - carried to the caller's thread
            errors.append(failed)

    thread = threading.Thread(target=inside, name="probe:ipip")
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
    return answer[0]


def _try(ip: IPRoute) -> bool:
    try:
        ip.link("add", ifname="probe", kind="ipip", ipip_local="192.0.2.1", ipip_remote="192.0.2.2")
    except NetlinkError:
        return False
    return True
