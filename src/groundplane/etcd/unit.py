"""The systemd unit of a member, as a real host gets it. Pure; quoting after systemd.service(5)."""

from pathlib import Path

from groundplane.errors import Invalid
from groundplane.etcd.flags import MemberSpec, render_flags

BINARY = Path("/usr/bin/etcd")


def render_unit(spec: MemberSpec, *, binary: Path = BINARY) -> str:
    """The unit file's text.

    etcd says READY only once it has a quorum, so the first member of a new cluster would run into systemd's start
    limit: TimeoutStartSec is off, and whoever starts three members does not wait for the first.
    """
    directory = str(spec.data_dir)
    if not directory.isprintable() or "\\" in directory:
        raise Invalid("cannot be written into a unit file", to=repr(directory), hint="choose a plainer path")
    directory = directory.replace("%", "%%")
    command = " \\\n".join(quote(word) for word in (str(binary), *render_flags(spec)))
    return f"""[Unit]
Description=Etcd Server
Documentation=https://etcd.io/docs
After=network.target
After=network-online.target
Wants=network-online.target

[Service]
Type=notify
WorkingDirectory={directory}
ExecStart={command}
Restart=on-failure
RestartSec=5
TimeoutStartSec=infinity
LimitNOFILE=65536

[Install]
WantedBy=multi-user.target
"""


def quote(word: str) -> str:
    """One word of ExecStart=: specifiers and variables kept as they are, quoted only where it must be."""
    if any(ord(letter) < 32 for letter in word):  # noqa: PLR2004 - C0 controls cannot stand in a unit file
        raise Invalid("holds a control character", to=repr(word))
    text = word.replace("\\", "\\\\").replace("%", "%%").replace("$", "$$")
    if not text or any(letter in " '\";" for letter in text):
        return '"' + text.replace('"', '\\"') + '"'
    return text
