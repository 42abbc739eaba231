# Paygrade. `make` lists the targets; everything needs only make and Python 3.11 or newer.

PYTHON ?= python3
ARGS ?=

VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
EMULATOR_VENV := .venv-emulator
EMULATOR_READY := $(EMULATOR_VENV)/.ready
AUDIT_VENV := .venv-audit
AUDIT_READY := $(AUDIT_VENV)/.ready
PIP_INSTALL := -m pip install --disable-pip-version-check --quiet

.DEFAULT_GOAL := help
.PHONY: help dev test lint format lock audit clean setup

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' Makefile

dev: setup ## Run everything locally (options: make dev ARGS="--fresh --port 9000")
	@exec $(BIN)/paygrade dev $(ARGS)

test: lint ## Check everything: lint, types, import rules, then all tests (ARGS go to pytest)
	$(BIN)/python -m pytest --numprocesses auto --cov --cov-report=term $(ARGS)

lint: setup ## Check style, types and import rules
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

format: setup ## Format the code and apply the safe fixes
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

UV_COMPILE = UV_CUSTOM_COMPILE_COMMAND="make lock" $(BIN)/uv pip compile --quiet --universal \
	--python-version 3.11 --no-strip-extras --generate-hashes --no-emit-index-url $(ARGS)

lock: setup ## Resolve the dependencies anew (make lock ARGS=--upgrade takes newer versions)
	$(UV_COMPILE) --extra dev -o infra/locks/dev.txt pyproject.toml
	$(UV_COMPILE) -c infra/locks/dev.txt -o requirements.txt pyproject.toml
	$(UV_COMPILE) -o infra/locks/emulator.txt infra/locks/emulator.in
	$(UV_COMPILE) -o infra/locks/lambda.txt infra/locks/lambda.in
	$(UV_COMPILE) -o infra/locks/audit.txt infra/locks/audit.in

# Asks PyPI what is known of each package: the only target but set-up and lock that needs the network.
audit: setup $(AUDIT_READY) ## Look for weak code and known vulnerabilities, list all packages (ARGS=--strict)
	$(AUDIT_VENV)/bin/bandit --quiet --recursive -ll app.py chalicelib infra
	$(BIN)/python -m infra.supply_chain $(ARGS)

clean: ## Remove environments and caches (the local stack's data in .paygrade stays)
	rm -rf $(VENV) $(EMULATOR_VENV) $(AUDIT_VENV) *.egg-info build dist .cache .coverage .coverage.* htmlcov
	rm -rf .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# --- set-up: runs again only when a lock changes ---------------------------------------------------

setup: $(READY) $(EMULATOR_READY)

# $(1): folder. Keeps an environment that works; makes one where there is none or its Python is gone.
define make_venv
@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	echo "Paygrade needs Python 3.11 or newer; '$(PYTHON)' is not." \
	     "Name another: make PYTHON=python3.13 ..." >&2; exit 1; }
@$(1)/bin/python -c 'import pip' 2>/dev/null || $(PYTHON) -m venv --clear $(1)
@echo "Installing the locked packages into $(1) ..."
endef

$(READY): infra/locks/dev.txt pyproject.toml
	$(call make_venv,$(VENV))
	@$(BIN)/python $(PIP_INSTALL) --require-hashes -r infra/locks/dev.txt
	@$(BIN)/python $(PIP_INSTALL) --no-deps --no-build-isolation -e .
	@touch $@

# The emulator pins its own botocore, so it lives apart.
$(EMULATOR_READY): infra/locks/emulator.txt
	$(call make_venv,$(EMULATOR_VENV))
	@$(EMULATOR_VENV)/bin/python $(PIP_INSTALL) --require-hashes -r infra/locks/emulator.txt
	@touch $@

# Apart from ours, so that what looks for weaknesses of our packages shares none with us.
$(AUDIT_READY): infra/locks/audit.txt
	$(call make_venv,$(AUDIT_VENV))
	@$(AUDIT_VENV)/bin/python $(PIP_INSTALL) --require-hashes -r infra/locks/audit.txt
	@touch $@
