"""Pod sandboxes, a file per verb: `run`, `stop`, `remove`; `files` is what a pod's containers are shown in common."""
