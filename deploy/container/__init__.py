"""The container images, built and run for real where there is no container engine: by buildah and crun, on Linux, as root."""
