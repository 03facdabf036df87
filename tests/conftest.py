"""What holds for all tests: Keras' backend keeps quiet about its build and its hardware, and examples have the time they need."""

import os

try:
    from hypothesis import HealthCheck, settings
except ImportError:  # The tests of Ray Serve, which draw no examples, have an environment without it.
    pass
else:
    # A pause of the machine is no failure. What is about to land is looked at with the same examples each time.
    settings.register_profile(
        "patient",
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow],
        derandomize="CI" in os.environ,
    )
    settings.load_profile("patient")

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
