"""What runs on the lab's host: `inside.py BUILD HANDLER FOCUS`. The pod network, the walk through crictl, then critest.

The suite's pods have names that Kubernetes forbids (upper case), so they cannot be on groundplane's own network, which
stores them under their names: Debian's bridge, host-local and portmap stand in, as in the originals' own test runs.
"""

import json
import os
import signal
import socket
import struct
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

SOCKET = "unix:///run/groundplane/cri.sock"
ARCHIVES = Path("/var/lib/groundplane/images")
PLUGINS, BIN = Path("/usr/lib/cni"), Path("/opt/cni/bin")
NETWORK = {
    "cniVersion": "1.0.0",
    "name": "conformance",
    "plugins": [
        {
            "type": "bridge",
            "bridge": "conformance0",
            "isGateway": True,
            "ipam": {
                "type": "host-local",
                "ranges": [[{"subnet": "10.88.0.0/16"}]],
                "routes": [{"dst": "0.0.0.0/0"}],
            },
        },
        {"type": "portmap", "capabilities": {"portMappings": True}, "snat": True},
    ],
}
STREAMING = "streaming is not built: Exec, Attach and PortForward answer UNIMPLEMENTED"
KNOWN = {
    "runtime should support exec with tty=false and stdin=false": STREAMING,
    "runtime should support exec with tty=true and stdin=true": STREAMING,
    "runtime should support attach": STREAMING,
    "runtime should support portforward [Conformance]": STREAMING,
    "runtime should support portforward in host network": STREAMING,
    "runtime should support MaskedPaths": "Debian's busybox shell runs its own ls without touching the masked file",
    "public image with digest should be pulled and removed": "no registry here: nothing else has the original's digest",
}


def main() -> int:
    """0 if exactly what is known to fail failed."""
    build, handler, focus = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
    prepare(build)
    if handler:
        add_handler(handler)
    walked = walk(build)
    return judge(critest(build, handler, focus), whole=not focus) or int(not walked)


def prepare(build: Path) -> None:
    """A network that takes any pod name, and the images where the runtime looks for them."""
    for name in ("bridge", "host-local", "portmap"):
        if not (BIN / name).exists():
            (BIN / name).symlink_to(PLUGINS / name)
    Path("/etc/cni/net.d/05-conformance.conflist").write_text(json.dumps(NETWORK))
    ARCHIVES.mkdir(exist_ok=True)
    for archive in (build / "images").iterdir():
        (ARCHIVES / archive.name).unlink(missing_ok=True)
        (ARCHIVES / archive.name).symlink_to(archive)


def add_handler(name: str) -> None:
    """Have the runtime know another OCI runtime, by its configuration and a restart; pods go on meanwhile."""
    path = Path("/etc/groundplane/cri.json")
    path.write_text(json.dumps({**json.loads(path.read_text()), "handlers": {name: name}}))
    before = _daemon()
    os.kill(before, signal.SIGTERM)
    end = time.monotonic() + 10
    while _daemon() in (0, before):
        if time.monotonic() > end:
            sys.exit("the runtime did not come back: see `groundplane logs`")
        time.sleep(0.05)


def _daemon() -> int:
    """Whose socket it is; 0 while there is none."""
    with socket.socket(socket.AF_UNIX) as one:
        try:
            one.connect(SOCKET.removeprefix("unix://"))
        except OSError:
            return 0
        credentials = one.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    return int(struct.unpack("3i", credentials)[0])


def walk(build: Path) -> bool:
    """One pod's life by crictl, each command in turn. Whether all of them did what they should."""
    image = next(name for name in _image_names(build) if "busybox" in name)
    pod, container = Path("/tmp/pod.json"), Path("/tmp/container.json")  # noqa: S108 - a lab host's /tmp is its own
    labels = {"app": "walk"}
    metadata = {"name": "walk", "namespace": "default", "uid": "walk-uid", "attempt": 1}
    pod.write_text(json.dumps({"metadata": metadata, "log_directory": "/tmp/walk", "labels": labels, "linux": {}}))  # noqa: S108
    config = {
        "metadata": {"name": "main"},
        "image": {"image": image},
        "command": ["sh", "-c", "echo from the container; trap 'exit 3' TERM; while :; do sleep 0.1; done"],
        "log_path": "main.log",
        "linux": {"security_context": {"masked_paths": ["/bin/ls"], "namespace_options": {"pid": 1}}},
    }
    container.write_text(json.dumps(config))
    failed = []
    done = 0

    def crictl(*arguments: str, says: str = "", fails: bool = False) -> str:
        nonlocal done
        argv = [str(build / "crictl"), "-r", SOCKET, *arguments]
        ran = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60)
        done += 1
        if bool(ran.returncode) is not fails or says not in (ran.stderr if fails else ran.stdout):
            failed.append(f"{' '.join(arguments)}: {ran.returncode}: {(ran.stderr or ran.stdout).strip()}")
        return ran.stdout.strip()

    crictl("version", says="groundplane")
    crictl("info", says='"NetworkReady"')
    crictl("runtime-config", says="cgroup")
    crictl("pull", image, says="sha256:")
    crictl("images", says=image.partition(":")[0])
    crictl("inspecti", image, says='"repoTags"')
    crictl("imagefsinfo", says="usedBytes")
    sandbox = crictl("runp", str(pod))
    crictl("pods", "--label", "app=walk", "--state", "ready", "-q", says=sandbox)
    crictl("inspectp", sandbox[:13], says="SANDBOX_READY")
    created = crictl("create", sandbox, str(container), str(pod))
    crictl("start", created, says=created)
    crictl("ps", "--pod", sandbox, says=created[:13])
    crictl("inspect", created, says="CONTAINER_RUNNING")
    crictl("exec", "--sync", created, "cat", "/etc/hostname", says="walk")
    crictl("exec", "--sync", created, "/usr/bin/env", says="not found", fails=True)
    crictl("exec", "--sync", created, "/bin/ls", says="ermission denied", fails=True)  # masked
    crictl("logs", created, says="from the container")
    crictl("stats", "--id", created, "-o", "json", says="usageCoreNanoSeconds")
    crictl("statsp", "--id", sandbox, "-o", "json", says="workingSetBytes")
    crictl("update", "--memory", str(64 << 20), created, says=created)
    crictl("stop", "--timeout", "10", created, says=created)
    crictl("inspect", created, says='"exitCode": 3')
    crictl("rm", created, says=created)
    crictl("stopp", sandbox, says=sandbox)
    crictl("rmp", sandbox, says=sandbox)
    crictl("rmi", image, says=image.partition(":")[0])
    print(f"crictl: {done} commands, {done - len(failed)} as they should, {len(failed)} not")
    for one in failed:
        print(f"  {one}")
    return not failed


def _image_names(build: Path) -> Iterator[str]:
    from urllib.parse import unquote

    for path in sorted((build / "images").iterdir()):
        yield unquote(path.name.removesuffix(".tar"))


def critest(build: Path, handler: str, focus: str) -> ET.Element:
    """Its report."""
    report = Path("/tmp/junit.xml")  # noqa: S108 - a lab host's /tmp is its own
    argv = [
        str(build / "critest"),
        "-runtime-endpoint",
        SOCKET,
        "-ginkgo.junit-report",
        str(report),
        "-ginkgo.no-color",
    ]
    argv += ["-runtime-handler", handler] if handler else []
    argv += ["-ginkgo.focus", focus] if focus else []
    ran = subprocess.run(argv, capture_output=True, text=True, errors="replace", check=False)
    if not report.exists():
        sys.exit(f"critest wrote no report:\n{ran.stdout[-4000:]}{ran.stderr[-4000:]}")
    return ET.parse(report).getroot()  # noqa: S314 - a report that a program we built has just written


def judge(report: ET.Element, *, whole: bool) -> int:
    """Print the figures; 1 if they are not those that are expected."""
    states: Counter[str] = Counter()
    conformance: Counter[str] = Counter()
    failed, unexpected, met = [], [], set()
    for case in report.iter("testcase"):
        name, status = case.get("name", ""), case.get("status", "")
        if not name.startswith("[It]") or "benchmark" in name:
            continue  # not specs: the suite's own set-up and its benchmarks
        states[status] += 1
        conformance[status] += "[Conformance]" in name
        if status in ("passed", "skipped"):
            continue
        failed.append(name)
        known = next((text for text in KNOWN if text in name), None)
        if known is None:
            unexpected.append(f"{name}: {_why(case)}")
        else:
            met.add(known)
    print(f"critest: {_figures(states)}, of which [Conformance]: {_figures(conformance)}")
    for one in failed:
        print(f"  failed: {one.removeprefix('[It] [k8s.io] ')}")
    for one in unexpected:
        print(f"  NOT EXPECTED: {one}")
    stale = set(KNOWN) - met if whole else set()
    for one in sorted(stale):
        print(f"  passes now, take it off the list: {one}")
    return int(bool(unexpected or stale))


def _figures(states: Counter[str]) -> str:
    bad = states.total() - states["passed"] - states["skipped"]
    return f"{states.total()} specs: {states['passed']} passed, {bad} failed, {states['skipped']} skipped"


def _why(case: ET.Element) -> str:
    found = case.find("failure")
    return "" if found is None else (found.get("message") or "").strip()[:400]


if __name__ == "__main__":
    sys.exit(main())
