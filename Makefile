# nodeproof: everything a developer does, by one word each. `make` alone lists the words.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
LOCK := requirements/dev.lock
COMPILE := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-header --no-emit-index-url
# Writes every lock file into the folder $(1), with the options $(2). The images get of what was tested
# what each of them asks for.
define write_locks
$(COMPILE) $(2) pyproject.toml --all-extras --group dev -o $(1)/dev.lock && \
$(COMPILE) $(2) requirements/go.lock.in -o $(1)/go.lock && \
$(COMPILE_IMAGE) -c $(1)/dev.lock $(2) pyproject.toml --extra agent -o $(1)/agent.lock && \
$(COMPILE_IMAGE) -c $(1)/dev.lock $(2) pyproject.toml --extra operator -o $(1)/operator.lock && \
$(COMPILE_IMAGE) -c $(1)/dev.lock $(2) requirements/build.lock.in -o $(1)/build.lock
endef
COMPILE_IMAGE := $(COMPILE) --no-annotate
SOURCES := attestation agent operator cli dev tests bench

# CLUSTER=real: kubelets, containers and Helm instead of stand-ins. Whatever else it is, is refused.
REAL := $(if $(CLUSTER),--$(CLUSTER))

.DEFAULT_GOAL := help
.PHONY: help demo test e2e lint checklock format bench cluster images chart manifests lock clean

help: ## show this list
	@grep -hE '^[a-z0-9]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

demo: $(READY) ## attest four nodes on a real control plane, see one fail and return (KEEP=1 leaves it running, CLUSTER=real takes real nodes)
	@$(BIN)/python -m nodeproof_dev demo $(REAL) $(if $(KEEP),--keep)

test: $(READY) ## run every test, on a real control plane (ARGS="-k name" to choose)
	@$(BIN)/python -m nodeproof_dev build
	@$(BIN)/python -m pytest $(ARGS)

e2e: $(READY) ## test real kubelets, containers and the chart on this machine; takes root (ARGS="-k name" to choose)
	@$(BIN)/python -m pytest tests/e2e $(ARGS)

lint: $(READY) ## check style, types, walls between packages, and that the lock file is current
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	@$(MAKE) --no-print-directory checklock

checklock: $(READY)
	@rm -rf $(VENV)/locks && cp -r requirements $(VENV)/locks
	@$(call write_locks,$(VENV)/locks)
	@diff -ru requirements $(VENV)/locks \
		|| { echo "the lock files do not follow from pyproject.toml: run make lock"; exit 1; }

format: $(READY) ## mend what can be mended by itself
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(READY) ## print what a verification, a whole attestation and an agent cost
	@$(BIN)/python bench/verification.py
	@$(BIN)/python bench/attestation.py
	@$(BIN)/python bench/agent.py

cluster: $(READY) ## leave a control plane with nodeproof running, with a kubeconfig to play with (CLUSTER=real takes real nodes)
	@$(BIN)/python -m nodeproof_dev cluster $(REAL)

images: $(READY) ## build the images of agent and operator into dist/images (docs/images.md)
	@$(BIN)/python -m nodeproof_dev images --output dist/images

chart: $(READY) ## package the Helm chart into dist/
	@$(BIN)/python -m nodeproof_dev chart --output dist

manifests: $(READY) ## write deploy/, and the chart's README and CRDs, anew from their sources
	@$(BIN)/python -m nodeproof_dev manifests
	@$(BIN)/python docs/generate_chart.py

lock: $(READY) ## write the lock files anew from pyproject.toml (UPGRADE=1 takes newer versions)
	@$(call write_locks,requirements,$(if $(UPGRADE),--upgrade))

clean: ## remove the environment and caches of this checkout (the built control plane stays)
	rm -rf $(VENV) .nodeproof .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find $(SOURCES) -type d -name __pycache__ -prune -exec rm -rf {} +

$(READY): $(LOCK) pyproject.toml
	@echo "nodeproof: preparing $(VENV) (once per lock file)"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "nodeproof needs Python 3.11 or newer: make PYTHON=python3.12 ...")'
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r $(LOCK)
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@
