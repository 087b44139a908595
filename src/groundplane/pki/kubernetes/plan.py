"""The complete list for a cluster: three CAs, every host's certificates and kubeconfigs, where each goes.

Names, subjects and places are kubeadm's (`kubeadm init phase certs`, `kubeconfig`), for etcd on hosts of its own.
"""

from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath

from groundplane.pki.kubernetes.model import NODE, Authority, Cluster, Copy, Form, Host, Inventory, Leaf
from groundplane.pki.kubernetes.profiles import profile
from groundplane.pki.model import CASection, CertificateName, CertificateRequest

KUBERNETES, ETCD, FRONT_PROXY = "kubernetes", "etcd", "front-proxy"
SERVICE_ACCOUNT = PurePosixPath("ca", "service-account")
_COMMON_NAMES = {KUBERNETES: "kubernetes", ETCD: "etcd-ca", FRONT_PROXY: "front-proxy-ca"}
_LOCAL = ("localhost", "127.0.0.1", "::1")
_ETC, _PKI = PurePosixPath("etc/kubernetes"), PurePosixPath("etc/kubernetes/pki")
_KUBELET = PurePosixPath("var/lib/kubelet/pki")
HOSTS = PurePosixPath("hosts")
# Files of the issuer's that hosts have too, and where under a host's root.
COPIES: Mapping[PurePosixPath, PurePosixPath] = {
    PurePosixPath("ca", source): _PKI / target
    for source, target in (
        (f"{ETCD}/ca.crt", "etcd/ca.crt"),
        *((f"{KUBERNETES}/ca.{kind}", f"ca.{kind}") for kind in ("crt", "key")),
        *((f"{FRONT_PROXY}/ca.{kind}", f"front-proxy-ca.{kind}") for kind in ("crt", "key")),
        *((f"service-account/sa.{kind}", f"sa.{kind}") for kind in ("key", "pub")),
    )
}


def inventory(cluster: Cluster) -> Inventory:
    """Everything that `cluster` needs."""
    section = CASection(expiry=cluster.ca_lifetime)
    authorities = tuple(
        Authority(
            name=name,
            request=CertificateRequest(common_name=common_name, key=cluster.key, ca=section, source=f"CA {name}"),
        )
        for name, common_name in _COMMON_NAMES.items()
    )
    leaves = (*_etcd(cluster), *_control_plane(cluster), *_nodes(cluster))
    return Inventory(authorities=authorities, leaves=leaves, copies=tuple(_copies(cluster)))


def api_names(cluster: Cluster, host: Host) -> tuple[str, ...]:
    """What clients may call an API server: kubeadm's list, and the file's."""
    service = cluster.service_subnet.network_address + 1
    found = (
        *(host.name, "kubernetes", "kubernetes.default", "kubernetes.default.svc"),
        f"kubernetes.default.svc.{cluster.dns_domain}",
        *(str(service), *map(str, host.addresses), cluster.endpoint[0]),
        *host.names,
        *cluster.extra_names,
    )
    return tuple(dict.fromkeys(found))


def _request(cluster: Cluster, common_name: str, group: str = "", hosts: tuple[str, ...] = ()) -> CertificateRequest:
    names = (CertificateName(organization=group),) if group else ()
    return CertificateRequest(common_name=common_name, names=names, hosts=hosts, key=cluster.key, source=common_name)


def _etcd(cluster: Cluster) -> Iterator[Leaf]:
    for host in cluster.etcd:
        hosts = tuple(dict.fromkeys((host.name, *map(str, host.addresses), *host.names, *_LOCAL)))
        for name in ("server", "peer"):
            yield _pair(cluster, f"etcd/{name}", host, ETCD, _request(cluster, host.name, hosts=hosts), "peer")
        probe = _request(cluster, "kube-etcd-healthcheck-client")
        yield _pair(cluster, "etcd/healthcheck-client", host, ETCD, probe, "client")


def _control_plane(cluster: Cluster) -> Iterator[Leaf]:
    for host in cluster.control_plane:
        serving = _request(cluster, "kube-apiserver", hosts=api_names(cluster, host))
        yield _pair(cluster, "apiserver", host, KUBERNETES, serving, "server")
        to_kubelet = _request(cluster, "kube-apiserver-kubelet-client", cluster.admin_group)
        yield _pair(cluster, "apiserver-kubelet-client", host, KUBERNETES, to_kubelet, "client")
        to_etcd = _request(cluster, "kube-apiserver-etcd-client")
        yield _pair(cluster, "apiserver-etcd-client", host, ETCD, to_etcd, "client")
        yield _pair(cluster, "front-proxy-client", host, FRONT_PROXY, _request(cluster, "front-proxy-client"), "client")
        own = f"https://{_literal(str(host.addresses[0]))}:{cluster.endpoint[1]}"
        for name, user, group, server in (
            ("admin", "kubernetes-admin", cluster.admin_group, ""),
            ("super-admin", "kubernetes-super-admin", "system:masters", ""),
            ("controller-manager", "system:kube-controller-manager", "", own),
            ("scheduler", "system:kube-scheduler", "", own),
        ):
            yield _kubeconfig(cluster, name, host, _request(cluster, user, group), server)


def _nodes(cluster: Cluster) -> Iterator[Leaf]:
    for host in (*cluster.control_plane, *cluster.workers):
        user = f"{NODE}{host.name}"
        yield _kubeconfig(cluster, "kubelet", host, _request(cluster, user, "system:nodes"), "")
        serving = tuple(dict.fromkeys((host.name, *map(str, host.addresses), *host.names)))
        yield Leaf(
            name="kubelet",
            host=host.name,
            ca=KUBERNETES,
            request=_request(cluster, user, "system:nodes", serving),
            profile=profile("server", cluster.lifetime),
            path=_place(host, _KUBELET / "kubelet"),
        )


def _pair(  # noqa: PLR0917 - a row of a table
    cluster: Cluster, name: str, host: Host, ca: str, request: CertificateRequest, kind: str
) -> Leaf:
    return Leaf(
        name=name,
        host=host.name,
        ca=ca,
        request=request,
        profile=profile(kind, cluster.lifetime),
        path=_place(host, _PKI / name),
    )


def _kubeconfig(cluster: Cluster, name: str, host: Host, request: CertificateRequest, server: str) -> Leaf:
    return Leaf(
        name=f"{name}.conf",
        host=host.name,
        ca=KUBERNETES,
        request=request,
        profile=profile("client", cluster.lifetime),
        path=_place(host, _ETC / f"{name}.conf"),
        form=Form.KUBECONFIG,
        user=request.common_name,
        server=server or f"https://{_literal(cluster.endpoint[0])}:{cluster.endpoint[1]}",
    )


def _copies(cluster: Cluster) -> Iterator[Copy]:
    for host in cluster.etcd:
        yield _copy(host, f"{ETCD}/ca.crt")
    for host in cluster.control_plane:
        yield _copy(host, f"{ETCD}/ca.crt")
        for ca in (KUBERNETES, FRONT_PROXY):
            yield _copy(host, f"{ca}/ca.crt")
            if cluster.ca_keys_on_hosts:
                yield _copy(host, f"{ca}/ca.key", private=True)
        yield _copy(host, "service-account/sa.key", private=True)
        yield _copy(host, "service-account/sa.pub")
    for host in cluster.workers:
        yield _copy(host, f"{KUBERNETES}/ca.crt")


def _copy(host: Host, name: str, *, private: bool = False) -> Copy:
    source = PurePosixPath("ca", name)
    return Copy(source=source, target=_place(host, COPIES[source]), private=private)


def _place(host: Host, path: PurePosixPath) -> PurePosixPath:
    """Hosts may do several jobs: all their files are under one name."""
    return HOSTS / host.name / path


def _literal(host: str) -> str:
    return f"[{host}]" if ":" in host else host
