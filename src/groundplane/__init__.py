"""Everything beneath a Kubernetes control plane: certificates, etcd, a container runtime, the pod network."""

__version__ = "0.1.0"
