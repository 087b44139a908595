# Everything a developer does, by name; `make` lists it.
.DEFAULT_GOAL := help
PYTHON := .venv/bin/python

help:  ## this list
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

up:  ## bring the built-in cluster up
	./gp up

down:  ## take it down and remove everything
	./gp down --purge

test:  ## the whole test suite
	./gp test

unit:  ## only the fast, rootless tests
	$(PYTHON) -m pytest tests/unit

lint:  ## formatting, lint, types, and which way imports point
	$(PYTHON) -m ruff format --check
	$(PYTHON) -m ruff check
	$(PYTHON) -m mypy
	.venv/bin/lint-imports

format:  ## let ruff mend what it can
	$(PYTHON) -m ruff format
	$(PYTHON) -m ruff check --fix

bench:  ## time `up`, phase by phase, the certificate server beside Debian's, and one certificate
	$(PYTHON) bench/up.py
	$(PYTHON) bench/pki.py
	$(PYTHON) bench/gencert.py

conformance:  ## critest, crictl, CFSSL 1.6.5, zlint and kubeadm, which are built with go: see docs/conformance.md
	$(PYTHON) tools/conformance/run.py
	$(PYTHON) tools/conformance/cfssl.py -q
	$(PYTHON) tools/conformance/testdata.py
	$(PYTHON) tools/conformance/zlint.py
	$(PYTHON) tools/conformance/kubeadm.py

fresh:  ## both commands in a root that debootstrap makes, so that a missing install step shows
	tools/fresh

lock:  ## make both lock files again from pyproject.toml
	uv pip compile -q pyproject.toml --generate-hashes --no-header --no-annotate --no-emit-index-url --python-version 3.11 -o requirements.lock
	uv pip compile -q pyproject.toml --extra dev --generate-hashes --no-header --no-annotate --no-emit-index-url --python-version 3.11 -o requirements-dev.lock

.PHONY: help up down test unit lint format bench conformance fresh lock
