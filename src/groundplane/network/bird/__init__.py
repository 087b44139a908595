"""BIRD 2 on this host: the file it reads, the socket it is told by, what it answers.

- `model`: what the file is made from, and what BIRD reports. `render`: the file (pure).
- `control`: bird.ctl. `status`: its answers, parsed (pure).
"""

from groundplane.network.bird.control import BirdControl, BirdRefused, BirdSilent
from groundplane.network.bird.model import BirdView, Peer, Pool, Session
from groundplane.network.bird.render import initial, render

__all__ = ["BirdControl", "BirdRefused", "BirdSilent", "BirdView", "Peer", "Pool", "Session", "initial", "render"]
