"""What is known of models, as the schemas show it."""

from collections.abc import Sequence

from app.halves import Half
from app.model import Model
from app.repository import Entry
from app.schemas import (
    NOT_RECORDED,
    CheckItem,
    FactorItem,
    FactorsList,
    HalfItem,
    ModelDetail,
    ModelItem,
    VersionItem,
)
from app.tensors import FactorLayout
from gyoza.inference.checks import GOLDEN_CHECK, Check


def factors_list(entry: Entry, layout: FactorLayout) -> FactorsList:
    """Show a factor layout."""
    return FactorsList(model=entry.name, version=str(entry.version), size=layout.size, factors=factor_items(layout))


def factor_items(layout: FactorLayout) -> list[FactorItem]:
    """Show the factors of a layout."""
    return [
        FactorItem(
            name=factor.name,
            start=factor.start,
            size=factor.size,
            description=factor.description,
            range=factor.range,
        )
        for factor in layout.factors
    ]


def model_item(entries: Sequence[Entry]) -> ModelItem:
    """Show a model of which these are the versions, the lowest first."""
    highest = entries[-1]
    return ModelItem(
        name=highest.name,
        state=highest.state.value,
        reason=highest.reason,
        versions=[
            VersionItem(version=str(entry.version), state=entry.state.value, reason=entry.reason) for entry in entries
        ],
    )


def model_detail(entries: Sequence[Entry], entry: Entry) -> ModelDetail:
    """Show a model and what is known of one of its versions."""
    item = ModelDetail(**dict(model_item(entries)), version=str(entry.version))
    return item if entry.model is None else item.model_copy(update=facts(entry.model))


def facts(model: Model) -> dict[str, object]:
    """Return what is known of a version that is READY."""
    flow, loaded = model.flow, model.loaded
    return {
        "description": model.description,
        "latent_shape": flow.latent_shape,
        "code_shape": flow.code_shape,
        "code_size": flow.plan.size,
        "dtype": flow.dtype.name,
        "factors": None if model.layout is None else factor_items(model.layout),
        "layers": NOT_RECORDED if loaded.layers is None else loaded.layers,
        "parameters": NOT_RECORDED if loaded.parameters is None else loaded.parameters,
        "encoder": half_item(model.beside.encoder),
        "decoder": half_item(model.beside.decoder),
        "examples": len((model.beside.examples or {}).get("latents", ())),
        "traces": model.traces,
        "files": dict(model.files),
        "libraries": dict(loaded.libraries) or NOT_RECORDED,
        "checks": check_items(model),
    }


def half_item(half: Half | None) -> HalfItem | None:
    """Show a half of the network beside a flow."""
    if half is None:
        return None
    loaded = half.loaded
    return HalfItem(
        input_shape=half.run.input_shape,
        output_shape=half.run.output_shape,
        kind=half.kind,
        dtype=half.run.dtype.name,
        layers=NOT_RECORDED if loaded.layers is None else loaded.layers,
        parameters=NOT_RECORDED if loaded.parameters is None else loaded.parameters,
        checks=[*map(check_item, loaded.checks)],
    )


def check_item(check: Check) -> CheckItem:
    """Show what a check found."""
    return CheckItem(name=check.name, passed=check.passed, error=check.error, limit=check.limit)


def check_items(model: Model) -> list[CheckItem]:
    """Show the load checks, those that were not recorded too."""
    items = [*map(check_item, model.loaded.checks)]
    if GOLDEN_CHECK not in {item.name for item in items}:
        items.append(CheckItem(name=GOLDEN_CHECK, passed=NOT_RECORDED, error=NOT_RECORDED, limit=NOT_RECORDED))
    return items
