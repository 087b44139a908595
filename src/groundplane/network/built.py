"""What resources may ask for and groundplane cannot do yet: refused wherever resources come in. Pure."""

from groundplane.errors import Unimplemented
from groundplane.network.resources import Encapsulation, IPPool, Resource


def check_built(resource: Resource, *, at: object) -> None:
    """Raise Unimplemented, naming the field, if the network cannot do what `resource` says."""
    if isinstance(resource, IPPool) and resource.vxlan_mode is not Encapsulation.NEVER:
        hint = "use ipipMode, or no encapsulation"
        raise Unimplemented("VXLAN is not built", to=f"{at}: spec.vxlanMode", hint=hint)
