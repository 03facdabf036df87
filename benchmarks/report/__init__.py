"""What a run found, as tables and as a chart."""
