"""Which paths need a key, and which are open to all."""

from dataclasses import dataclass

from app.settings import Settings

HEALTH = frozenset({"/livez", "/readyz"})
V2_HEALTH = "/v2/health/"
METRICS = frozenset({"/metrics"})
DOCS = frozenset({"/", "/docs", "/openapi.json"})
EXPLORER = "/explorer/"
"""Below it are the files of the page at ``/``, which go with it."""


@dataclass(frozen=True)
class Doors:
    """Which paths need a key."""

    closed: bool
    """Whether paths need one, but for the exceptions."""
    exceptions: frozenset[str]
    """Paths with which it is the other way round."""

    def need_key(self, path: str) -> bool:
        """Whether a path, behind the prefix of a proxy, needs a key."""
        path = path.removesuffix("\n")  # Routes match before it, too.
        path = "/" if path.startswith(EXPLORER) else path
        return not path.startswith(V2_HEALTH) and (path in self.exceptions) != self.closed


def doors_of(settings: Settings) -> Doors:
    """Close what the settings close. Where admins alone have keys, whoever calls needs none."""
    public = (METRICS if settings.public_metrics else frozenset()) | (DOCS if settings.public_docs else frozenset())
    if settings.api_keys_file:
        return Doors(closed=True, exceptions=HEALTH | public)
    return Doors(closed=False, exceptions=(METRICS | DOCS) - public)
