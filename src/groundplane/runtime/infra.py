"""The process that is PID 1 where a pod's containers share one PID namespace, and there only.

It is a program of some two hundred bytes, written here: it sets SIGCHLD to be ignored, upon which the kernel itself
reaps every orphan handed to it, and then sleeps for good. No image to pull, no shell, nothing in its root but itself.
"""

import platform
import struct
from pathlib import Path

from groundplane.errors import Unimplemented
from groundplane.system import files

_BASE = 0x400000
_HEADERS = 64 + 56  # one ELF header, one program header

# rt_sigaction(SIGCHLD, {SIG_IGN}, NULL, 8); for (;;) pause();
_X86_64 = bytes.fromhex(
    "b80d000000"  # mov eax, 13         rt_sigaction
    "bf11000000"  # mov edi, 17         SIGCHLD
    "488d3517000000"  # lea rsi, [rip+23]   the structure after the code
    "31d2"  # xor edx, edx
    "41ba08000000"  # mov r10d, 8
    "0f05"  # syscall
    "b822000000"  # mov eax, 34         pause
    "0f05"  # syscall
    "ebf7"  # jmp back to pause
    "90909090"  # up to a multiple of eight
)
_ACTION = struct.pack("<QQQQ", 1, 0, 0, 0)  # handler SIG_IGN, no flags, no restorer, empty mask
_EM_X86_64 = 62


def program(machine: str = "") -> bytes:
    """The ELF executable. Raises Unimplemented for a machine other than x86-64."""
    machine = machine or platform.machine()
    if machine != "x86_64":
        raise Unimplemented(
            f"a PID namespace shared in the pod is not built for {machine}",
            to="namespace_options.pid",
            hint="ask for CONTAINER",
        )
    code = _X86_64 + _ACTION
    size = _HEADERS + len(code)
    ident = b"\x7fELF\x02\x01\x01" + bytes(9)
    entry = _BASE + _HEADERS
    header = ident + struct.pack("<HHIQQQIHHHHHH", 2, _EM_X86_64, 1, entry, 64, 0, 0, 64, 56, 1, 0, 0, 0)
    segment = struct.pack("<IIQQQQQQ", 1, 5, 0, _BASE, _BASE, size, size, 0x1000)
    return header + segment + code


def write_rootfs(rootfs: Path) -> None:
    """A root directory with the program at /pause, and the directories a runtime mounts on."""
    data = program()
    for name in ("proc", "dev", "sys"):
        files.ensure_directory(rootfs / name)
    files.replace(rootfs / "pause", data, mode=0o755, durable=False)
