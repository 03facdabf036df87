"""HTTP: paths to calls, errors to statuses."""
