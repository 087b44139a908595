"""ExecSync: the runtime's own exec, with pipes and without a shim. Late means dead: process, group and descendants."""

import json
import tempfile
from datetime import timedelta
from pathlib import Path
from typing import Any

from groundplane.errors import DeadlineExceeded, Failed, Invalid
from groundplane.runtime import capture, engine, lifecycle
from groundplane.runtime.model import Container
from groundplane.runtime.node import Node

OUTPUT_LIMIT = (16 << 20) - (64 << 10)  # both streams together: clients accept 16 MiB a message
_DRAIN = timedelta(seconds=1)  # what a background child that holds the pipe may delay the answer


class ExecFailed(Failed):
    """The command never became a process; the cause is the runtime's."""


def exec_process(config: dict[str, Any], command: tuple[str, ...]) -> dict[str, Any]:
    """The runtime specification's process: the container's own, with another command and no terminal. Pure."""
    return {**config["process"], "args": list(command), "terminal": False}


async def exec_sync(node: Node, prefix: str, command: tuple[str, ...], *, timeout_s: int) -> capture.Captured:
    """The command's streams, together cut at OUTPUT_LIMIT, and its exit code.

    Raises WrongState unless it runs, DeadlineExceeded when late, ExecFailed if the command could not be started.
    """
    if not command:
        raise Invalid("no command", to=f"exec in {prefix[:13]}")
    container = node.container(prefix)
    lifecycle.container_after(container.state, lifecycle.ContainerEvent.EXEC, of=container.id)
    bundle = node.bundle(container.id)
    document = exec_process(json.loads((bundle / "config.json").read_bytes()), command)
    with tempfile.TemporaryDirectory(dir=bundle, prefix="exec-") as directory:
        return await _exec(node, container, document, at=Path(directory), timeout_s=timeout_s)


async def _exec(
    node: Node, container: Container, document: dict[str, Any], *, at: Path, timeout_s: int
) -> capture.Captured:
    process_file, pid_file, log = at / "process.json", at / "pid", at / "log.json"
    process_file.write_text(json.dumps(document))
    driver = node.engine_for(node.sandbox_of(container).spec)
    argv = driver.exec_argv(container.id, process_file=process_file, pid_file=pid_file, log=log)
    within = timedelta(seconds=timeout_s) if timeout_s > 0 else None
    try:
        done = await capture.run(argv, env=engine.child_environment(), limit=OUTPUT_LIMIT, within=within, drain=_DRAIN)
    except BaseException:
        _kill(pid_file)  # the caller went away: nobody will ask for its end
        raise
    if done.late:
        _kill(pid_file)
        raise DeadlineExceeded(
            f"command timed out after {timeout_s} s", to=f"exec {document['args'][0]} in {container.id[:13]}"
        )
    why = engine.could_not_start(done.code, pid_file=pid_file, log=log)
    if why:
        raise ExecFailed(why, to=f"exec {document['args'][0]} in {container.id[:13]}")
    code = 128 - done.code if done.code < 0 else done.code
    return capture.Captured(code=code, stdout=done.stdout, stderr=done.stderr)


def _kill(pid_file: Path) -> None:
    try:
        pid = int(pid_file.read_text())
    except (FileNotFoundError, ValueError):
        return  # it had not begun
    engine.kill_family(pid)
