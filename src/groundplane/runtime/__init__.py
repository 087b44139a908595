"""The container runtime: CRI v1 on a unix socket, over any OCI runtime, with conmon as shim and no pause container.

Read in this order.

- words: `model` (sandboxes, containers, images), `config` (cri.json)
- decisions, pure: `lifecycle` (states as tables), `generate` (config.json of a container) with `mounts`, `resources`,
  `capability`, `user`, `seccomp`, `signals`; `recover` (disk against kernel after a restart)
- effects, one outside thing each: `store` (SQLite), `pins` (namespaces), `engine` (crun), `conmon`, `exits` (who ended,
  and how), `capture` (exec's streams), `logs`, `infra` (PID 1 of a shared PID namespace), `rootfs`, `devices`,
  `network` (CNI); `ports` is what images, layers and the network must offer
- verbs: `sandbox/`, `container/`, `image/`, over `node`; `flights` joins repeated calls; `restore` runs before serving
- doors: `translate` and `answers` (messages and back), `stats`, `service` (methods), `server` (socket, errors), `build`

`main(config)` is the daemon, `groundplane-cri`.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from groundplane.runtime.server import main

__all__ = ["main"]


def __getattr__(name: str) -> object:
    if name == "main":
        from groundplane.runtime.server import main

        return main
    raise AttributeError(name)
