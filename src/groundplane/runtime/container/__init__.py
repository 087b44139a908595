"""Containers, a file per verb: `create`, `start`, `stop`, `remove`, `exec`, `update`."""
