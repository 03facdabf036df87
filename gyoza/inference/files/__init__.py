"""Plans as files: one safetensors file of arrays and a description of the steps; data, and never code."""

__all__: list[str] = []
