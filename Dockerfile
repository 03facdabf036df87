# docker build -t gyoza .                       whole: loads .keras files, by TensorFlow, and plans
# docker build --target slim -t gyoza:slim .    slim: serves plans (plan.safetensors) alone, without Keras
# deploy/README.md tells of both.
ARG BASE=python:3.13-slim
ARG VERSION=0.1.0
ARG REVISION=unknown
ARG CREATED=unknown

FROM ${BASE} AS tools
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore PYTHONDONTWRITEBYTECODE=1
COPY deploy/container/prune.py /opt/
# Without pip: the base's own installs into it.
RUN python -m venv --without-pip /opt/gyoza

# Each environment is made of its lock file. A file pip.conf with a package index of one's own can be lent to it, which no
# layer keeps: docker build --secret id=pip.conf,src=pip.conf .
FROM tools AS slim-environment
COPY requirements/slim.txt /src/
RUN --mount=type=secret,id=pip.conf,target=/etc/pip.conf \
    pip --python /opt/gyoza install --no-compile --no-deps --require-hashes -r /src/slim.txt && python /opt/prune.py /opt/gyoza

FROM tools AS whole-environment
COPY requirements/serve.txt /src/
RUN --mount=type=secret,id=pip.conf,target=/etc/pip.conf \
    pip --python /opt/gyoza install --no-compile --no-deps --require-hashes -r /src/serve.txt && python /opt/prune.py /opt/gyoza

# The project's own package is a layer of its own: where the lock files are as they were, it is all that a new version changes.
FROM tools AS package
RUN python -m venv --without-pip /opt/build
WORKDIR /src
COPY requirements/build.txt requirements/
RUN --mount=type=secret,id=pip.conf,target=/etc/pip.conf \
    pip --python /opt/build install --no-compile --no-deps --require-hashes -r requirements/build.txt
COPY pyproject.toml README.md LICENSE ./
COPY app app
COPY gyoza gyoza
RUN pip --python /opt/build wheel --no-deps --no-build-isolation --no-index --wheel-dir /wheels . \
 && pip --python /opt/gyoza install --root /package --no-compile --no-deps --no-index /wheels/*.whl \
 && python /opt/prune.py /package
ARG VERSION
RUN test -f "/wheels/gyoza_serve-$VERSION-py3-none-any.whl" \
 || { echo "VERSION must be that of the package, $(ls /wheels). Received: $VERSION. Leave it out." >&2; exit 1; }

FROM ${BASE} AS runtime
RUN useradd --uid 10001 --user-group --no-log-init --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin gyoza
# Keras writes a configuration file where it may; /tmp is the one folder that it needs to be able to write to.
ENV PATH=/opt/gyoza/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    KERAS_HOME=/tmp/keras \
    GYOZA_HOST=0.0.0.0 \
    GYOZA_PORT=8000 \
    GYOZA_MODELS_DIR=/models
LABEL org.opencontainers.image.title="gyoza" \
      org.opencontainers.image.description="Serves disentangling normalizing flows over HTTP." \
      org.opencontainers.image.licenses="MIT"
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=60s --retries=3 CMD ["python", "-Im", "app.healthcheck"]
CMD ["gyoza", "serve"]

# Layers stand in the order in which they change: packages, models, over which a folder of one's own may be mounted, the
# project, labels. What a server imports of the standard library is compiled here, where the base has not done so: on a file
# system that is read only it would be compiled again at every start.
FROM runtime AS slim
COPY --from=slim-environment /opt/gyoza /opt/gyoza
COPY models/digits /models/digits
COPY --from=package /package/opt/gyoza /opt/gyoza
RUN python -c "import app.commands.serve, app.workers.worker, app.healthcheck, ssl"
USER 10001:10001
ARG VERSION
ARG REVISION
ARG CREATED
LABEL org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$REVISION" \
      org.opencontainers.image.created="$CREATED"

FROM runtime
COPY --from=whole-environment /opt/gyoza /opt/gyoza
COPY models/digits /models/digits
COPY --from=package /package/opt/gyoza /opt/gyoza
RUN TF_CPP_MIN_LOG_LEVEL=3 python -c "import app.commands.serve, app.workers.worker, app.healthcheck, gyoza.loading, ssl" \
 && rm -r "$KERAS_HOME"
USER 10001:10001
ARG VERSION
ARG REVISION
ARG CREATED
LABEL org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$REVISION" \
      org.opencontainers.image.created="$CREATED"
