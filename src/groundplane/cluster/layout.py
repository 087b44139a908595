"""Where things stand on every host, real or lab: the one list of paths, read by those who write and those who check."""

from pathlib import Path

ETC = Path("/etc/groundplane")
RUN = Path("/run/groundplane")
STATE = Path("/var/lib/groundplane")

CA = Path("/opt/ca/ca.pem")
ETCD_CERT = Path("/opt/etcd/cert/etcd.pem")
ETCD_KEY = Path("/opt/etcd/cert/etcd-key.pem")
ETCD_DATA = Path("/opt/etcd/data")
ETCD_WAL = Path("/opt/etcd/wal")
ETCD_BINARY = Path("/usr/bin/etcd")
ETCD_LINKS = ((Path("/opt/etcd/etcd"), ETCD_BINARY), (Path("/opt/etcd/etcdctl"), Path("/usr/bin/etcdctl")))

AGENT_CONFIG = ETC / "agent.json"
AGENT_CERT = ETC / "agent.pem"
AGENT_KEY = ETC / "agent-key.pem"
AGENT_SOCKET = RUN / "agent.sock"

BIRD_BINARY = Path("/usr/sbin/bird")
BIRD_CONFIG = STATE / "bird.conf"
BIRD_SOCKET = RUN / "bird.ctl"

CRI_CONFIG = ETC / "cri.json"
CRI_SOCKET = RUN / "cri.sock"
PODS_CONFIG = ETC / "pods.json"
IMAGES = STATE / "images"

CNI_CONF_DIR = Path("/etc/cni/net.d")
CNI_CONF = CNI_CONF_DIR / "10-groundplane.conflist"
CNI_BIN_DIR = Path("/opt/cni/bin")
CNI_BINARY = CNI_BIN_DIR / "groundplane"

CLIENT_PORT = 2379
PEER_PORT = 2380
BGP_PORT = 179
