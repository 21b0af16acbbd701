# nodeproof: everything a developer does, by one word each. `make` alone lists the words.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
LOCK := requirements/dev.lock
COMPILE := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-header --no-emit-index-url
COMPILE_DEV := $(COMPILE) pyproject.toml --all-extras --group dev
COMPILE_GO := $(COMPILE) requirements/go.lock.in
SOURCES := attestation agent operator cli dev tests bench

.DEFAULT_GOAL := help
.PHONY: help demo test lint checklock format bench cluster lock clean

help: ## show this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

demo: $(READY) ## attest four nodes on a real control plane, see one fail and return (KEEP=1 leaves it running)
	@$(BIN)/python -m nodeproof_dev demo $(if $(KEEP),--keep)

test: $(READY) ## run every test, on a real control plane (ARGS="-k name" to choose)
	@$(BIN)/python -m nodeproof_dev build
	@$(BIN)/python -m pytest $(ARGS)

lint: $(READY) ## check style, types, walls between packages, and that the lock file is current
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	@$(MAKE) --no-print-directory checklock

checklock: $(READY)
	@for lock in $(LOCK) requirements/go.lock; do cp $$lock $(VENV)/$$(basename $$lock); done
	@$(COMPILE_DEV) -o $(VENV)/dev.lock
	@$(COMPILE_GO) -o $(VENV)/go.lock
	@diff -u $(LOCK) $(VENV)/dev.lock && diff -u requirements/go.lock $(VENV)/go.lock \
		|| { echo "the lock files do not follow from pyproject.toml: run make lock"; exit 1; }

format: $(READY) ## mend what can be mended by itself
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(READY) ## print what a verification, a whole attestation and an agent cost
	@$(BIN)/python bench/verification.py
	@$(BIN)/python bench/attestation.py
	@$(BIN)/python bench/agent.py

cluster: $(READY) ## leave a control plane with nodeproof running, with a kubeconfig to play with
	@$(BIN)/python -m nodeproof_dev cluster

lock: $(READY) ## write the lock files anew from pyproject.toml (UPGRADE=1 takes newer versions)
	$(COMPILE_DEV) $(if $(UPGRADE),--upgrade) -o $(LOCK)
	$(COMPILE_GO) $(if $(UPGRADE),--upgrade) -o requirements/go.lock

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
