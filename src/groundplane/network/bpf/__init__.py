"""IP-in-IP for kernels without an `ipip` device: the same packets on the wire, made and taken apart by eBPF.

- `assembler`   eBPF instructions as values, labels, bytes (pure)
- `programs`    the two programs: parameters -> instructions (pure)
- `syscall`     bpf(2): programs and maps
- `classifier`  programs on a device's clsact hooks
- `device`      the device that stands for `tunl0`
- `encap`       all of it, made to converge: `Encapsulation`
- `probe`       whether the kernel needs any of this: `kernel_has_ipip`
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from groundplane.network.bpf.device import DEVICE
    from groundplane.network.bpf.encap import EncapRoute, Encapsulation
    from groundplane.network.bpf.probe import kernel_has_ipip

__all__ = ["DEVICE", "EncapRoute", "Encapsulation", "kernel_has_ipip"]

_HOME = {"DEVICE": "device", "EncapRoute": "encap", "Encapsulation": "encap", "kernel_has_ipip": "probe"}


def __getattr__(name: str) -> object:
    """pyroute2 is slow to import: not before somebody wants it."""
    if name not in _HOME:
        raise AttributeError(name)
    import importlib

    return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
