"""Which model is asked."""

from dataclasses import dataclass
from urllib.parse import quote

__all__ = ["Target", "target_of"]


@dataclass(frozen=True)
class Target:
    """The server's default model, a model's highest version, or one version.

    Args:
        model: Its name; None: the server's default.
        version: A number, of a model that is named; None: the highest one that is ready.
    """

    model: str | None = None
    version: str | None = None

    def __post_init__(self) -> None:
        """Refuse a version of no model."""
        if self.version is not None and self.model is None:
            raise ValueError(
                f"A version needs the model that it is one of. Received: model=None, version={self.version!r}"
            )

    def path(self, endpoint: str = "") -> str:
        """Return the path of an endpoint for this target.

        Example:
            >>> Target().path("/encode"), Target("digits", "2").path("/encode")
            ('/encode', '/models/digits/versions/2/encode')
        """
        model = "" if self.model is None else f"/models/{quote(self.model, safe='')}"
        version = "" if self.version is None else f"/versions/{quote(self.version, safe='')}"
        return f"{model}{version}{endpoint}"


def target_of(model: str | None, version: str | int | None = None) -> Target:
    """Return the target of a model and a version, a text or a number."""
    return Target(model, None if version is None else str(version))
