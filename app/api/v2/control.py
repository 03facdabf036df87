"""What loads and unloads models while the service runs, as the repository extension sees it."""

from typing import Protocol


class Control(Protocol):
    """Loads and unloads the models of the repository."""

    async def load(self, name: str) -> None:
        """Load every version of a flow anew; until it is READY, what was READY before serves.

        Raises:
            GyozaError: It can't be loaded; what was READY before still serves.
        """

    async def unload(self, name: str) -> None:
        """Serve a flow no more, once what is under way is answered.

        Raises:
            GyozaError: There is no such flow.
        """
