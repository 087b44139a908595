"""Images and layers for tests of the runtime alone: one busybox image, a real overlay mount for each container."""

import shutil
from pathlib import Path

from groundplane.errors import NotFound
from groundplane.runtime.model import Image, ImageConfig
from groundplane.system import mount

BUSYBOX = Path("/bin/busybox")
APPLETS = (
    *("sh", "sleep", "true", "false", "cat", "echo", "id", "kill", "ls", "mkdir", "ps", "touch", "hostname", "ip"),
    *("wget", "httpd", "head", "yes", "dd", "env", "tail", "ping", "mount", "umount", "chmod", "grep", "ln"),
    *("unshare", "nc", "rm", "setsid"),
)


def make_rootfs(at: Path) -> None:
    (at / "bin").mkdir(parents=True)
    for name in ("etc", "tmp", "proc", "sys", "dev", "root"):
        (at / name).mkdir()
    shutil.copy2(BUSYBOX, at / "bin/busybox")
    for name in APPLETS:
        (at / "bin" / name).symlink_to("busybox")
    (at / "etc/passwd").write_text("root:x:0:0::/root:/bin/sh\nalice:x:1000:1000::/:/bin/sh\n")
    (at / "etc/group").write_text("root:x:0:\nalice:x:1000:\nextra:x:50000:alice\n")


class StandIn:
    def __init__(self, root: Path) -> None:
        self.root = root
        self._base = root / "base"
        if not self._base.exists():
            make_rootfs(self._base)
        self._image = Image(
            id="sha256:" + "ab" * 32,
            tags=("registry.test/busybox:latest",),
            digests=(),
            size_bytes=BUSYBOX.stat().st_size,
            config=ImageConfig(cmd=("/bin/sleep", "1000"), user=""),
        )

    def resolve(self, reference: str) -> Image:
        if reference in ("busybox", self._image.id, *self._image.tags):
            return self._image
        raise NotFound("no such image", to=reference)

    def list(self) -> "list[Image]":
        return [self._image]

    def remove(self, reference: str) -> None:
        del reference

    def import_archive(self, path: Path, reference: str) -> Image:
        raise NotFound(f"cannot read {path}", to=reference)

    def usage(self) -> tuple[int, int]:
        return 1, 1

    def _layer(self, key: str) -> Path:
        return self.root / "layers" / key

    def mount(self, key: str, image: str, target: Path) -> None:
        del image
        layer = self._layer(key)
        for name in ("upper", "work"):
            (layer / name).mkdir(parents=True, exist_ok=True)
        options = f"lowerdir={self._base},upperdir={layer}/upper,workdir={layer}/work"
        mount.mount("overlay", target, "overlay", 0, options)

    def unmount(self, target: Path) -> None:
        mount.unmount(target)

    def upper(self, key: str) -> Path | None:
        return self._layer(key) / "upper"


class StandInLayers(StandIn):
    def remove(self, key: str) -> None:
        shutil.rmtree(self._layer(key), ignore_errors=True)
