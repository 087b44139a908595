"""Files that are kept get the modes that new ones would have."""

from pathlib import Path


def mend_modes(*wanted: tuple[Path, int], dry: bool) -> str:
    """Returns why one was (or, if `dry`, would be) changed; empty if none. Raises OSError."""
    reason = ""
    for path, mode in wanted:
        have = path.stat().st_mode & 0o7777
        if have != mode:
            reason = reason or f"the mode of {path.name} is {have:04o}, and {mode:04o} is wanted"
            if not dry:
                path.chmod(mode)
    return reason
