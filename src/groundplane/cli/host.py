"""Commands about one host, or about this machine."""

import argparse
import json
import os
import shlex
import sys

from groundplane.cli import show
from groundplane.cli.target import lab_of
from groundplane.errors import Failed, NotFound, Unavailable


def doctor(arguments: argparse.Namespace) -> int:
    """Print what was found; 0 if nothing required is missing."""
    from datetime import timedelta

    from groundplane.cluster import doctor as examine
    from groundplane.system import process

    if arguments.fix and (missing := examine.missing_needs(examine.is_present)):
        command = examine.install_command(missing, manager=examine.manager())
        print(f"running: {command}", file=sys.stderr)
        process.run_now(shlex.split(command), within=timedelta(minutes=15))
    found = examine.examine()
    lacking = [finding for finding in found if finding.required and not finding.ok]
    if arguments.output == "json":
        rows = [
            {
                "subject": f.subject,
                "ok": f.ok,
                "required": f.required,
                "detail": f.detail,
                "cure": "" if f.ok else f.cure,
            }
            for f in found
        ]
        print(json.dumps({"ok": not lacking, "findings": rows}, indent=2))
    else:
        cells = [
            (("ok" if f.ok else "MISSING" if f.required else "no"), f.subject, f.detail, "" if f.ok else f.cure)
            for f in found
        ]
        sys.stdout.write(show.table(("STATE", "WHAT", "DETAIL", "CURE"), cells))
        if missing := examine.missing_needs(examine.is_present):
            for name in ("apt-get", "dnf"):
                print(f"{name}: {examine.install_command(missing, manager=name)}")
    return examine.Lacking.kind.exit_code if lacking else 0


def shell(arguments: argparse.Namespace) -> int:
    """Run a command in all of a host's namespaces and in its control group; its exit code is ours."""
    from groundplane.cluster.lab import cgroups
    from groundplane.cluster.lab.host import init_pid
    from groundplane.system import netns

    lab, name = lab_of(arguments), arguments.host
    paths = _host_paths(arguments)
    pid = init_pid(paths)
    if not pid:
        raise Unavailable("the host is down", to=f"{lab.name}/{name}", hint="run `groundplane up`")
    command = arguments.command[1:] if arguments.command[:1] == ["--"] else arguments.command
    command = command or [os.environ.get("SHELL", "/bin/sh")]
    kinds = ("ipc", "uts", "net", "pid", "cgroup", "mnt")  # the last one takes /proc with it
    spaces = [(kind, os.open(f"/proc/{pid}/ns/{kind}", os.O_RDONLY | os.O_CLOEXEC)) for kind in kinds]
    cgroups.join(paths.cgroup + "/shell")
    for kind, space in spaces:
        netns.enter_open(space, at=f"{name}'s {kind} namespace")
    child = os.fork()  # only a child is in the PID namespace that was entered
    if child == 0:
        try:
            os.chdir("/")
            os.execvp(command[0], command)  # noqa: S606 - the operator's own command
        except OSError as bad:
            show.error(str(Failed(f"cannot be run: {bad.strerror}", to=command[0])))
            os._exit(127)
    while True:
        try:
            _, status = os.waitpid(child, 0)
            break
        except KeyboardInterrupt:
            continue  # the child got the signal too; its end decides
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


def logs(arguments: argparse.Namespace) -> int:
    """Print the last lines of a host's units, also of a host that is down."""
    folder = _host_paths(arguments).data / "log"
    found = sorted(path for path in folder.glob("*.log") if arguments.unit in (None, path.stem))
    if not found:
        known = ", ".join(sorted(path.stem for path in folder.glob("*.log"))) or "none"
        raise NotFound("has no such log", to=f"{arguments.host} {arguments.unit or ''}".strip(), hint=f"known: {known}")
    for path in found:
        if len(found) > 1:
            print(show.paint(f"==> {path.stem} <==", "bold", sys.stdout))
        lines = path.read_text(errors="replace").splitlines()
        print("\n".join(lines[-arguments.lines :] if arguments.lines > 0 else lines))
    return 0


def _host_paths(arguments: argparse.Namespace):  # type: ignore[no-untyped-def]  # noqa: ANN202
    lab = lab_of(arguments)
    known = lab.known_hosts()
    if arguments.host not in known:
        hint = f"known: {', '.join(known)}" if known else "run `groundplane up`"
        raise NotFound("no such host", to=f"{lab.name}/{arguments.host}", hint=hint)
    return lab.paths.host(arguments.host)
