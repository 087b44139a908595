"""How many members may be lost. Pure; raft's majority rule."""


def quorum(voters: int) -> int:
    """The votes a decision needs."""
    return voters // 2 + 1


def tolerates(voters: int) -> int:
    """How many voters may fail with a quorum left; an even number tolerates no more than the odd one below it."""
    return voters - quorum(voters)


def has_quorum(*, voters: int, healthy: int) -> bool:
    """Whether `healthy` of `voters` can decide."""
    return voters > 0 and healthy >= quorum(voters)
