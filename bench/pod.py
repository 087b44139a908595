"""How long a pod takes to start: RunPodSandbox + CreateContainer + StartContainer, through the socket, image present.

    .venv/bin/python bench/pod.py [--pods 40] [--parallel 1] [--shared-pid]

Host network: the pod network's own time is measured by itself. Needs root, crun and conmon.
"""

import argparse
import statistics
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from groundplane.runtime.proto import api_pb2 as pb
from tests.lab.runtime_host import Host, host


def one(at: Host, pid: int) -> tuple[float, float, float, str]:
    config = at.sandbox_config(pid=pid)
    began = time.perf_counter()
    sandbox = at.run(config)
    ran = time.perf_counter()
    container = at.create(sandbox, "sleep", "1000", pid=pid)
    created = time.perf_counter()
    at.runtime.StartContainer(pb.StartContainerRequest(container_id=container))
    return ran - began, created - ran, time.perf_counter() - created, sandbox


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pods", type=int, default=40)
    parser.add_argument("--parallel", type=int, default=1)
    parser.add_argument("--shared-pid", action="store_true")
    wanted = parser.parse_args()
    with host() as at, ThreadPoolExecutor(wanted.parallel) as pool:
        print(f"daemon ready after {at.started_in * 1000:.0f} ms")
        began = time.perf_counter()
        found = list(pool.map(lambda _: one(at, 0 if wanted.shared_pid else 1), range(wanted.pods)))
        wall = time.perf_counter() - began
        rows = {
            "run": [each[0] for each in found],
            "create": [each[1] for each in found],
            "start": [each[2] for each in found],
            "pod": [sum(each[:3]) for each in found],
        }
        for name, times in rows.items():
            ordered = sorted(times)
            p99 = ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))]
            print(f"{name:7} p50 {statistics.median(ordered) * 1000:6.1f} ms   p99 {p99 * 1000:6.1f} ms")
        print(f"{wanted.pods} pods, {wanted.parallel} at a time, in {wall:.2f} s")
        began = time.perf_counter()
        at.runtime.ListContainerStats(pb.ListContainerStatsRequest())
        print(f"stats of {wanted.pods} containers in {(time.perf_counter() - began) * 1000:.1f} ms")
        at.restart()
        print(f"killed and started again: ready after {at.started_in * 1000:.0f} ms")
        began = time.perf_counter()
        for each in found:
            at.remove(each[3])
        print(f"stop and remove: {(time.perf_counter() - began) * 1000 / wanted.pods:.1f} ms a pod")


if __name__ == "__main__":
    main()
