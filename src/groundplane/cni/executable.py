"""The text of /opt/cni/bin/groundplane: a script that runs `groundplane.cni.__main__` in a bare interpreter."""

from groundplane.errors import Invalid

# BINPRM_BUF_SIZE was 128 before Linux 5.1, with the #! and the end counted; the kernel splits at the first blank.
_LONGEST = 127
_OPTIONS = "-ISE"  # isolated, no site-packages, no environment: nothing but the standard library and the package


def executable_text(python: str, package_root: str) -> str:
    """For the interpreter `python` (absolute) and the directory that holds the package `groundplane`.

    A path that a shebang cannot carry (too long, or with blanks) gets a shell's exec in a form that Python reads as a
    string. Raises Invalid for paths that are not absolute or hold a newline or NUL.
    """
    for what, path in (("the interpreter", python), ("the package's directory", package_root)):
        if not path.startswith("/") or any(character in path for character in "\n\r\0"):
            raise Invalid(f"{what} is not an absolute path on one line", to=repr(path))
    first = f"#!{python} {_OPTIONS}"
    if len(first.encode()) > _LONGEST or any(character.isspace() for character in python):
        if any(character in python for character in "\"'$`\\"):  # a shell, or Python's string, would read these
            raise Invalid("neither a shebang nor a shell line can carry this path", to=repr(python))
        first = f"#!/bin/sh\n'''exec' \"{python}\" {_OPTIONS} \"$0\" \"$@\"\n' '''"
    return (
        f"{first}\n"
        '"""Made by groundplane: the CNI plugin. It hands its request to the agent on this host."""\n'
        "import sys\n\n"
        f"sys.path.append({package_root!r})\n"
        "from groundplane.cni.__main__ import run\n\n"
        "run()\n"
    )
