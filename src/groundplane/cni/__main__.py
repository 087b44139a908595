"""The CNI plugin executable: hands its environment and standard input to the agent, and the agent's answer back.

A new interpreter for each pod: only sys, os, json and socket are imported. VERSION is answered here; everything else
is checked and done by the agent. An agent that does not answer is code 11, "try again later".
"""

import json
import os
import sys

from groundplane.cni.client import ask

_SPOKEN = ["0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"]  # model.VERSIONS; importing that would cost 15 ms
_SOCKET = "/run/groundplane/agent.sock"
_WITHIN = 90.0  # kubelet gives a sandbox four minutes; the agent's own limit is shorter than this


def main(env: dict[str, str], stdin: bytes) -> tuple[dict[str, object], int]:
    """What to print, and the exit code."""
    command = env.get("CNI_COMMAND", "")
    try:
        config = json.loads(stdin) if stdin.strip() else {}
        if not isinstance(config, dict):
            raise ValueError("not an object")  # noqa: TRY004, TRY301 - one answer for both
    except ValueError as bad:
        return _error("0.4.0", 6, f"standard input is not a JSON object: {bad}"), 1
    version = str(config.get("cniVersion") or "0.4.0")
    if command == "VERSION":
        return {"cniVersion": version if version in _SPOKEN else _SPOKEN[-1], "supportedVersions": _SPOKEN}, 0
    if not command:
        return _error(version, 4, "CNI_COMMAND is not set", "this program is run by a container runtime"), 1
    path = str(config.get("agentSocket") or _SOCKET)
    sent = {key: value for key, value in env.items() if key.startswith("CNI_")}
    try:
        answer = ask(path, {"op": "cni", "command": command, "env": sent, "config": config}, within=_WITHIN)
    except (OSError, ValueError) as silent:
        return _error(version, 11, f"the groundplane agent does not answer at {path}: {silent}", _START), 1
    result, failure = answer.get("result"), answer.get("error")
    if answer.get("ok"):
        return (result if isinstance(result, dict) else {}), 0
    return _refused(version, failure if isinstance(failure, dict) else {}), 1


_START = "start groundplane-agent on this host; the runtime will try again"


def _refused(version: str, failure: dict[str, object]) -> dict[str, object]:
    code = failure.get("cni_code")
    message = f"{failure.get('to', 'agent')}: {failure.get('happened', 'failed and gave no reason')}"
    return _error(version, code if isinstance(code, int) else 100, message, str(failure.get("hint") or ""))


def _error(version: str, code: int, message: str, details: str = "") -> dict[str, object]:
    return {"cniVersion": version, "code": code, "msg": message, "details": details}


def run() -> None:
    """Read, ask, print, exit."""
    document, code = main(dict(os.environ), sys.stdin.buffer.read())
    if document:
        sys.stdout.write(json.dumps(document) + "\n")
        sys.stdout.flush()
    os._exit(code)  # nothing is left to tidy; interpreter shutdown costs milliseconds


if __name__ == "__main__":
    run()
