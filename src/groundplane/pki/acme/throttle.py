"""How many requests one address may make: a bucket of tokens each, of a bounded number of addresses.

The address that was quiet longest is forgotten first; forgetting gives it a full bucket, which it would have by then
unless there are more busy addresses than places. IPv6 counts by /64, which is what one customer has.
"""

from collections import OrderedDict
from ipaddress import IPv6Address, ip_address

_PLACES = 10_000
_BURST = 5  # seconds' worth of tokens that a quiet address has saved up


class Throttle:
    """Not thread safe: it belongs to the event loop."""

    def __init__(self, per_second: int) -> None:
        self._rate = per_second
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()  # tokens, and when they were counted

    def admit(self, client: str, *, now: float) -> bool:
        """Whether `client` may make one more request at `now` (monotonic seconds)."""
        most = float(self._rate * _BURST)
        key = network_of(client)
        tokens, then = self._buckets.pop(key, (most, now))
        tokens = min(most, tokens + max(0.0, now - then) * self._rate)
        admitted = tokens >= 1
        self._buckets[key] = (tokens - admitted, now)
        if len(self._buckets) > _PLACES:
            self._buckets.popitem(last=False)
        return admitted


def network_of(client: str) -> str:
    """What limits are counted by: an IPv4 address, an IPv6 /64, else the text itself."""
    try:
        address = ip_address(client)
    except ValueError:
        return client
    if isinstance(address, IPv6Address):
        mapped = address.ipv4_mapped
        return str(mapped or IPv6Address(int(address) >> 64 << 64))
    return client
