# `make` lists the targets. Everything runs in .venv, which `make setup` fills from requirements.lock.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help setup lab test check golden labs pictures zoo experiments bench lock clean

BIN := .venv/bin
PY := $(BIN)/python
READY := .venv/.ready
UV := uv==0.13.9
COMPILE := $(BIN)/uv pip compile --quiet pyproject.toml --no-annotate --custom-compile-command "make lock"

help:  ## list these targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(READY)  ## make .venv with everything in it (again only when pyproject.toml or the lock changed)
	@:

lab: setup  ## open JupyterLab on the first lab
	@$(BIN)/clusterlab lab

test: setup  ## run the tests (ARGS="-k raft" chooses, ARGS="-m 'not ray'" leaves some out, ARGS="-n 0 --pdb" stops in one)
	@$(PY) -m pytest -n 2 $(ARGS)

check: setup  ## lint, format, types, import rules
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy
	@$(PY) -m pytest -q tests/test_layers.py tests/test_tidy.py

golden: setup  ## write the golden scenarios anew; then read the diff
	@$(PY) -m pytest -q --rewrite $(ARGS)
	@git --no-pager diff --stat

labs: setup  ## generate labs/ from solutions/
	@$(PY) -m clusterlab.lessons.release

pictures: setup  ## take the README's pictures anew, in a real JupyterLab
	@$(PY) -m tests.labs.picture

zoo: setup  ## hunt every published bug of the zoo (ARGS="R1 R2" chooses, ARGS="--traces FOLDER" keeps the runs)
	@$(PY) -m clusterlab.lessons.zoo $(ARGS)

experiments: setup  ## run every experiment with fifty seeds (ARGS="--engine live" on real processes, once each)
	@$(BIN)/clusterlab run all $(if $(ARGS),$(ARGS),--seeds 50)

bench: setup  ## measure the simulator and the live engine beside their peers
	@$(PY) -m tests.bench

lock: setup  ## resolve requirements.lock and binder/requirements.txt (ARGS=--upgrade for newer releases)
	@$(PIP) --quiet "$(UV)"
	@$(COMPILE) --all-extras --no-strip-extras --universal --python-version 3.11 --generate-hashes -o requirements.lock $(ARGS)
	@$(COMPILE) --python-version 3.12 --python-platform linux -c requirements.lock -o binder/requirements.txt
	@git --no-pager diff --stat -- requirements.lock binder/requirements.txt

clean:  ## remove .venv and what tools left behind (not your progress)
	@rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .hypothesis build dist
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(READY): pyproject.toml requirements.lock
	@$(find_python)
	@echo "Installing what requirements.lock names into .venv (a minute or two the first time) ..."
	@PYTHONUNBUFFERED=1 $(PIP) --require-hashes -r requirements.lock | $(progress)
	@$(PIP) --quiet --no-deps --no-build-isolation -e .
	@touch $@
	@echo "Ready: $$($(PY) --version) in .venv"

PIP := $(PY) -m pip install --disable-pip-version-check
progress := awk '/^(Collecting|Processing|Requirement already)/ && ++n % 25 == 0 { print "  " n " packages"; fflush() } \
	/^Installing collected/ { print "  " n " packages are here, unpacking ..."; fflush() }'

# Keeps a .venv that works. PYTHON=... overrides the search.
define find_python
if ! $(PY) -c 'import pip' 2>/dev/null; then \
  for python in $(PYTHON) python3 python3.12 python3.13 python3.14 python3.11; do \
    if "$$python" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 15))' 2>/dev/null; then \
      echo "Making .venv with $$("$$python" --version) ..."; \
      "$$python" -m venv --clear .venv && exit 0; \
      echo "$$python cannot make a virtual environment: install its venv module (on Debian: apt install python3-venv) and try again." >&2; \
      exit 1; \
    fi; \
  done; \
  echo "clusterlab needs Python 3.11, 3.12, 3.13 or 3.14, and none was found on PATH: install one and try again, or name it with 'make setup PYTHON=/path/to/python3'." >&2; \
  exit 1; \
fi
endef
