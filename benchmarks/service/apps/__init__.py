"""The servers that stand beside ours. Each is a script: ``python -m benchmarks.service.apps.<name> --port N --flow F``."""
