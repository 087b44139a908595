"""CRI's resources as the runtime specification's `linux.resources`, and one set of them over another. Pure."""

from dataclasses import replace
from typing import Any

from groundplane.errors import Invalid
from groundplane.runtime.model import Device, Resources

_HUGEPAGE_SIZES = {"2Mi": "2MB", "1Gi": "1GB", "64Ki": "64KB", "32Mi": "32MB"}


def merge(old: Resources, new: Resources) -> Resources:
    """UpdateContainerResources: what `new` leaves at 0 or empty stays as it was."""
    changes: dict[str, Any] = {
        name: value
        for name in (
            "cpu_period",
            "cpu_quota",
            "cpu_shares",
            "memory_limit_bytes",
            "memory_swap_limit_bytes",
            "oom_score_adj",
            "cpuset_cpus",
            "cpuset_mems",
        )
        if (value := getattr(new, name))
    }
    return replace(
        old,
        **changes,
        hugepage_limits={**old.hugepage_limits, **new.hugepage_limits},
        unified={**old.unified, **new.unified},
    )


def render(wanted: Resources, *, cgroup_v2: bool, swap: bool) -> dict[str, Any]:
    """`linux.resources` without devices. `swap`: whether this kernel counts swap.

    Raises Invalid for `unified` where cgroup v1 is in charge.
    """
    found: dict[str, Any] = {}
    cpu = {
        key: value
        for key, value in (
            ("shares", wanted.cpu_shares),
            ("quota", wanted.cpu_quota),
            ("period", wanted.cpu_period),
            ("cpus", wanted.cpuset_cpus),
            ("mems", wanted.cpuset_mems),
        )
        if value
    }
    if cpu:
        found["cpu"] = cpu
    if wanted.memory_limit_bytes:
        found["memory"] = {"limit": wanted.memory_limit_bytes}
        if swap:  # 0 means: no swap beyond the limit, for the runtime's "swap" is memory and swap together
            found["memory"]["swap"] = wanted.memory_swap_limit_bytes or wanted.memory_limit_bytes
    if wanted.hugepage_limits:
        found["hugepageLimits"] = [
            {"pageSize": _HUGEPAGE_SIZES.get(size, size), "limit": limit}
            for size, limit in sorted(wanted.hugepage_limits.items())
        ]
    if wanted.unified:
        if not cgroup_v2:
            raise Invalid("this host has cgroup v1", to="resources.unified", hint="use the named fields")
        found["unified"] = dict(wanted.unified)
    return found


def device_rules(devices: list[dict[str, Any]], *, privileged: bool) -> list[dict[str, Any]]:
    """`linux.resources.devices`: deny all, then what was asked for; the runtime adds null, zero, tty and their like."""
    if privileged:
        return [{"allow": True, "access": "rwm"}]
    rules: list[dict[str, Any]] = [{"allow": False, "access": "rwm"}]
    rules.extend(
        {
            "allow": True,
            "type": one["type"],
            "major": one["major"],
            "minor": one["minor"],
            "access": one.get("access", "rwm"),
        }
        for one in devices
    )
    return rules


def check_device(device: Device) -> None:
    """Raises Invalid."""
    if not device.host_path.startswith("/"):
        raise Invalid(f"host_path {device.host_path!r} is not absolute", to="device")
    if not device.permissions or set(device.permissions) - set("rwm"):
        raise Invalid(f"permissions {device.permissions!r} are not some of r, w and m", to=f"device {device.host_path}")
