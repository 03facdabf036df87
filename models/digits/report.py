"""The table of measures: targets, seeds, their mean, and the linear baseline."""

from collections.abc import Mapping, Sequence

import numpy as np

TARGETS = {
    "digit": "≥ .92",
    "color": "≥ .96",
    "angle": "≥ .96",
    "digit leak": "≤ .15",
    "color leak": "≤ .05",
    "angle leak": "≤ .05",
    "color swap follows": "≥ .97",
    "color swap keeps digit": "≥ .93",
    "digit swap follows": "≥ .92",
}
"""What the mean of three seeds is to reach."""


def mean(measures: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Return the mean of each measure over the seeds."""
    return {name: float(np.mean([row[name] for row in measures])) for name in measures[0]}


def missed(measures: Mapping[str, float]) -> list[str]:
    """Return the names of the targets that are not reached."""
    return [name for name, target in TARGETS.items() if not reaches(measures[name], target)]


def reaches(value: float, target: str) -> bool:
    """Return whether a value is as a target such as "≥ .92" says."""
    sign, limit = target.split()
    return value >= float(limit) if sign == "≥" else value <= float(limit)


def table(flows: Mapping[str, Mapping[str, float]], baselines: Sequence[Mapping[str, float]]) -> str:
    """Return a Markdown table.

    Args:
        flows: Heading to a flow's measures, such as "seed 0".
        baselines: The linear baseline's measures on the host of each flow.

    Returns:
        A row per measure: target, each flow, the mean of the flows where there are several, the mean of the baselines.
    """
    average, baseline = mean(list(flows.values())), mean(baselines)
    several = len(flows) > 1
    header = ["measure", "target", *flows, *(["**mean**"] if several else []), "linear"]
    rows = [header, ["---"] * len(header)]
    for name in average:
        values = [f"{row[name]:.3f}" for row in flows.values()]
        bold = [f"**{average[name]:.3f}**"] if several else []
        rows.append([name, TARGETS.get(name, ""), *values, *bold, f"{baseline[name]:.3f}"])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)
