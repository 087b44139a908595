"""What this agent knows of the cluster: fed by the datastore's watch, read by everything else on the same loop."""

from groundplane.network.calc.state import State
from groundplane.network.datastore import Batch, BlockLost, BlockOwned, Changed, Removed
from groundplane.network.resources import IPPool, Node, Resource, ResourceKey


class Mirror:
    """The state as of `revision`; 0: nothing has been read yet."""

    def __init__(self) -> None:
        self.revision = 0
        self.state = State()

    def take(self, batch: Batch) -> None:
        """Apply a batch; a fresh one replaces everything."""
        state = State() if batch.fresh else self.state
        # Resources and blocks do not meet, so that runs of one kind of event can be taken at once.
        for event in batch.events:
            match event:
                case Removed():
                    state = state.drop([event.key])
                case BlockOwned():
                    state = state.own(event.cidr, event.host)
                case BlockLost():
                    state = state.disown(event.cidr, event.host)
                case Changed() if not batch.fresh:
                    state = state.put([(event.key, event.resource)])
                case Changed():
                    pass  # below, all at once: a snapshot may hold thousands
        if batch.fresh:
            state = state.put((event.key, event.resource) for event in batch.events if isinstance(event, Changed))
        self.state, self.revision = state, batch.revision

    def has(self, kind: type[Resource], name: str, *, namespace: str = "") -> bool:
        """Whether there is one of this name."""
        return ResourceKey(kind.kind, name, namespace) in self.state.kinds.get(kind.kind, {})

    def node(self, name: str) -> Node | None:
        """One node."""
        found = self.state.kinds.get("Node", {}).get(ResourceKey("Node", name))
        return found if isinstance(found, Node) else None

    def pools(self) -> tuple[IPPool, ...]:
        """All pools."""
        return self.state.all(IPPool)
