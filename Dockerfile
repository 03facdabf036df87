FROM python:3.13-slim AS build
WORKDIR /src
RUN python -m venv /opt/gyoza
COPY requirements/serve.txt requirements/serve.txt
RUN /opt/gyoza/bin/pip install --no-cache-dir --no-deps --require-hashes -r requirements/serve.txt
COPY pyproject.toml README.md LICENSE ./
COPY app app
COPY gyoza gyoza
RUN /opt/gyoza/bin/pip install --no-cache-dir --no-deps .

FROM python:3.13-slim
LABEL org.opencontainers.image.title="gyoza" \
      org.opencontainers.image.description="Serves disentangling normalizing flows over HTTP." \
      org.opencontainers.image.licenses="MIT"
RUN useradd --uid 10001 --user-group --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin gyoza
COPY --from=build /opt/gyoza /opt/gyoza
# A folder of one's own models may be mounted over this one.
COPY models /models
# Keras writes a configuration file where it may; /tmp is the one folder that it needs to be able to write to.
ENV PATH=/opt/gyoza/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    KERAS_HOME=/tmp/keras \
    GYOZA_HOST=0.0.0.0 \
    GYOZA_PORT=8000 \
    GYOZA_MODELS_DIR=/models
WORKDIR /
USER 10001:10001
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import os, ssl, urllib.request; urllib.request.urlopen(f'http{\"s\" * (\"GYOZA_TLS_KEY\" in os.environ)}://127.0.0.1:{os.environ[\"GYOZA_PORT\"]}/readyz', timeout=2, context=ssl._create_unverified_context())"]
CMD ["gyoza", "serve"]
