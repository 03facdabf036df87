"""Running the application where another program takes the requests: its start, its end, and models on demand.

It knows ASGI, and no such program by name; ``app.ray_serve`` stands on it.
"""

from app.hosting.front import Front, around_proxy
from app.hosting.host import Host
from app.hosting.placement import Held, Placement

__all__ = ["Front", "Held", "Host", "Placement", "around_proxy"]
