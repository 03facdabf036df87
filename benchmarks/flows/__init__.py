"""The flows that are measured, and the same flows by hand."""
