# `make serve` and `make test` need Python ≥ 3.11 and make, nothing else; uv is used where it is installed.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
UV := $(shell command -v uv)

# The clients that others wrote, each of which has an environment of its own: their pins clash.
CLIENTS := kserve mlserver tritonclient

ifdef UV
  venv = uv venv --quiet --allow-existing --python $(1) $(2)
  install-into = uv pip install --quiet --python $(1)/bin/python
else
  venv = $(1) -m venv $(2)
  install-into = $(1)/bin/python -m pip install --quiet --disable-pip-version-check
endif
install = $(call install-into,$(VENV))

.PHONY: help serve test test-jax clients-test image-test image-bench ray-test ray-bench screenshots lint format lock bench bench-peers soak soak-reloads wrk

help: ## List the targets.
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 8

serve: $(VENV)/.serve ## Serve the models of models/ on 127.0.0.1:8000.
	@$(BIN)/gyoza serve

test: $(VENV)/.develop ## Run the whole test suite (COVERAGE=1: measure its coverage too, which takes a third longer).
	$(if $(COVERAGE),$(BIN)/coverage erase)
	$(BIN)/pytest --numprocesses=2 --dist=worksteal $(if $(COVERAGE),--cov --cov-report=term)

test-jax: $(VENV)/.jax ## Run what must hold on JAX too: the laws of layers, and training.
	KERAS_BACKEND=jax $(BIN)/pytest --numprocesses=2 --dist=worksteal tests/modelling/test_laws.py tests/modelling/test_training.py
	$(BIN)/pytest tests/modelling/test_backends.py

clients-test: $(VENV)/.develop $(CLIENTS:%=build/clients/%/.installed) ## Let stock clients of the Open Inference Protocol make every call they have.
	$(BIN)/pytest -m clients tests/clients

image-test: $(VENV)/.develop ## Build the container images, run them and look into them, by buildah and crun (as root, on Debian).
	$(BIN)/python -m deploy.container.tools
	$(BIN)/pytest -m image tests/deploy/container

image-bench: $(VENV)/.develop ## Measure the container images beside each other, and write deploy/README.md's figures anew.
	$(BIN)/python -m deploy.container.tools
	$(BIN)/python -m deploy.container.measure $(ARGS)

ray-test: build/ray/.installed ## Run the service as replicas of Ray Serve: kill, scale and drain them, and compare every answer.
	PYTHONPATH=. build/ray/bin/python -m pytest -m ray tests/ray

ray-bench: wrk build/ray/.installed ## Measure what Ray Serve adds to the service, and what a second replica brings.
	PYTHONPATH=. build/ray/bin/python deploy/ray/measure.py $(ARGS)

screenshots: $(VENV)/.develop ## Make the README's pictures of the explorer anew, in Chromium.
	$(BIN)/python -m tests.app.explorer.screenshots

lint: $(VENV)/.develop ## Check style, types and layers.
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: wrk $(VENV)/.develop ## Measure the plan, the service and its start beside others (ARGS=--quick: in a minute or three).
	$(BIN)/python -m benchmarks bench $(ARGS)

bench-peers: wrk $(VENV)/.develop ## Measure the service beside other model servers, which are installed below build/.
	$(BIN)/python -m benchmarks peers $(ARGS)

soak: $(VENV)/.develop ## Keep a server saturated for 10 minutes and compare every answer (ARGS="--minutes 1": less).
	$(BIN)/python -m benchmarks.soak $(ARGS)

soak-reloads: $(VENV)/.develop ## Load models anew under load: 200 times, then for a minute in which a worker is killed; compare every answer.
	$(BIN)/python -m benchmarks.reloads --reloads 200 --workers 1 --seconds 0 --name reloads-memory
	$(BIN)/python -m benchmarks.reloads

format: $(VENV)/.develop ## Mend what ruff can mend.
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

lock: | $(BIN)/python ## Pin the newest versions that pyproject.toml allows, with their hashes.
	@$(install) uv
	$(call compile,serve,--extra cpu --extra telemetry)
	$(call compile,slim,--extra telemetry --constraints requirements/serve.txt)
	$(call compile,build,,requirements/build.in)
	$(call compile,develop,--extra cpu --group develop)
	$(call compile,jax,--extra cpu --extra jax --group develop --constraints requirements/develop.txt)
	$(call compile,ray,--extra cpu --extra ray --group ray-tests --constraints requirements/develop.txt)
	@for client in $(CLIENTS); do $(call compile,clients/$$client,--python-version 3.11,requirements/clients/$$client.in) || exit 1; done

# The file pins everything, so nothing is left to resolve: older pip would want an extra (`coverage[toml]`) in its newest
# version, beside the pinned one.
$(VENV)/.%: requirements/%.txt pyproject.toml | $(BIN)/python
	@echo "Installing requirements/$*.txt into $(VENV) …"
	@$(install) --no-deps --require-hashes -r requirements/$*.txt
	@$(install) --no-deps --editable .
	@touch $@

build/clients/%/.installed: requirements/clients/%.txt | $(BIN)/python
	@echo "Installing $< into build/clients/$* …"
	@rm -rf build/clients/$*
	@$(call venv,$(BIN)/python,build/clients/$*)
	@$(call install-into,build/clients/$*) --no-deps --require-hashes -r $<
	@touch $@

build/ray/.installed: requirements/ray.txt | $(BIN)/python
	@echo "Installing $< into build/ray …"
	@rm -rf build/ray
	@$(call venv,$(BIN)/python,build/ray)
	@$(call install-into,build/ray) --no-deps --require-hashes -r $<
	@touch $@

wrk:
	@command -v wrk > /dev/null || { echo "The benchmarks put servers under load by wrk, which is not installed. Install it: apt-get install wrk" >&2; exit 1; }

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(None if sys.version_info >= (3, 11) else "gyoza needs Python 3.11 or newer; this is %s. Name another one: make PYTHON=python3.13" % sys.version.split()[0])'
	@$(call venv,$(PYTHON),$(VENV))

# JAX comes on top of what the other tests need, to which the same versions are given.
$(VENV)/.jax: $(VENV)/.develop

# Universal, so that one file serves every platform and Python; without index lines, so that it names no host.
compile = $(BIN)/uv pip compile --quiet --universal --upgrade --generate-hashes --no-emit-index-url \
	--custom-compile-command "make lock" $(2) --output-file requirements/$(1).txt $(or $(3),pyproject.toml)
