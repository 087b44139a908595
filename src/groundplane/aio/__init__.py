"""asyncio with owners and ends: `Undo` compensates, `Retry` repeats, `lifetime` starts and stops a daemon."""

from groundplane.aio.lifetime import serve_until_signal
from groundplane.aio.retry import Retry
from groundplane.aio.undo import Undo

__all__ = ["Retry", "Undo", "serve_until_signal"]
