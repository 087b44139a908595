"""What operators see: structured logs."""

from groundplane.observe.log import logger, set_up

__all__ = ["logger", "set_up"]
