"""What the tests of loading share."""

from pathlib import Path

import pytest

from gyoza.modelling.flow_layers import DisentanglingFlowModel
from tests.loading.flows import flow_model


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, DisentanglingFlowModel]:
    """A saved flow and the model that was saved."""
    path, model = tmp_path_factory.mktemp("flows") / "flow.keras", flow_model()
    model.save(path)
    return path, model
