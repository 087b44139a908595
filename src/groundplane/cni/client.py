"""The agent's socket from a short-lived process: one JSON object a line each way, blocking.

The CNI executable starts a new interpreter for each pod, so this module imports only what it cannot do without: it
raises OSError and ValueError, and leaves their meaning to its caller.
"""

import json
import socket


def ask(path: str, message: dict[str, object], *, within: float) -> dict[str, object]:
    """Send `message` to the socket at `path` and return its answer, within so many seconds for each step.

    Raises OSError if the agent cannot be reached or falls silent, ValueError if its answer is not a JSON object.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as link:
        link.settimeout(within)
        link.connect(path)
        link.sendall(json.dumps(message).encode() + b"\n")
        parts: list[bytes] = []
        while not (parts and parts[-1].endswith(b"\n")):
            part = link.recv(1 << 16)
            if not part:
                raise ConnectionResetError("the agent closed the connection before it answered")
            parts.append(part)
    answer = json.loads(b"".join(parts))
    if not isinstance(answer, dict):
        raise ValueError("the agent's answer is not an object")  # noqa: TRY004 - a bad value, from outside
    return answer
