# make run    the daemon with REST and dashboard, built when needed; flags: make run ARGS="--port 7000"
# make test   every check and test
# make check  the quick ones, for while you work
# make stress the long forms of what make test does shortly; about an hour
# make bench  measurements: make bench ARGS="--help"
# make fmt    lay out the Python and the TypeScript
#
# On a fresh Debian machine each installs what it needs: packages of the system where it may, the rest in .venv.
# MQFAST_DEBUG=1 builds and runs with assertions and sanitizers.

.DEFAULT_GOAL := run
.DELETE_ON_ERROR:
.PHONY: run test check stress bench fmt

PYTHON ?= python3
ARGS ?=
VENV := .venv
BIN := $(VENV)/bin

export PIP_DISABLE_PIP_VERSION_CHECK := 1

ifneq ($(filter-out 0,$(MQFAST_DEBUG)),)
export MQFAST_DEBUG
MODE := debug
SANITIZED = LD_PRELOAD=$$(gcc -print-file-name=libasan.so) ASAN_OPTIONS=detect_leaks=0
else
MODE := release
endif
BUILT := $(VENV)/built-$(MODE)
PY := bindings/py
TS := bindings/ts
UI := mqfast/http/ui
STATIC := mqfast/http/static/index.html
SOURCES := $(wildcard mqfast/*.pyx mqfast/*.pxd csrc/*.def csrc/*/*.h) \
  $(filter-out csrc/tests/% csrc/fuzz/%,$(wildcard csrc/*/*.c))

run: $(BUILT) $(STATIC)
	@exec env HTTP="$${HTTP:-1}" $(SANITIZED) $(BIN)/python -m mqfast $(ARGS)

test: $(BUILT) $(STATIC) $(VENV)/browser tests/browser/node_modules/.package-lock.json $(TS)/node_modules/.package-lock.json
	$(MAKE) -C csrc test tsan fuzz-short
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/mypy --config-file $(PY)/pyproject.toml
	cd $(UI) && npm run --silent check
	env $(SANITIZED) $(BIN)/pytest
	cd $(TS) && npm run --silent test:all
	cd tests/browser && npm test --silent

check: $(BUILT)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/mypy --config-file $(PY)/pyproject.toml
	$(MAKE) -C csrc test
	env $(SANITIZED) $(BIN)/pytest -q tests/unit

# 200 kills under load, 200 power cuts, a million steps of the model and a million over sockets, a million jobs with workers that die,
# 200 storms of clients, a year of a cron, and the C tests with 10,000 seeds each.
stress: $(BUILT)
	$(MAKE) -C csrc test MQ_TEST_SEEDS=10000 MQ_TEST_KILLS=200 MQ_TEST_PATIENCE=3600
	MQFAST_KILLS=200 MQFAST_POWERCUTS=200 MQFAST_CRON_MINUTES=525600 $(BIN)/pytest tests/crash
	MQFAST_MODEL_STEPS=1000000 MQFAST_SOCKET_STEPS=1000000 $(BIN)/pytest tests/model
	MQFAST_STRESS_JOBS=1000000 MQFAST_STORMS=200 $(BIN)/pytest -s tests/stress

bench: $(BUILT)
	$(BIN)/python perf/compare.py $(ARGS)

fmt: $(BUILT) $(TS)/node_modules/.package-lock.json
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	cd $(TS) && npm run --silent fmt

# The dashboard's page, from its sources.
$(STATIC): $(UI)/node_modules/.package-lock.json $(UI)/index.html $(UI)/build.mjs $(wildcard $(UI)/src/* $(UI)/src/*/*)
	@cd $(UI) && node build.mjs

%/node_modules/.package-lock.json: %/package-lock.json | $(VENV)/system
	@echo "npm packages of $*" >&2
	@cd $* && npm ci --loglevel=error --no-audit --no-fund >/dev/null
	@touch $@

# The module lies in mqfast/ and is of one mode at a time. The packages are installed when their list is new.
$(BUILT): pyproject.toml setup.py mqfast/__init__.py $(SOURCES) | $(VENV)/system
	@rm -f $(VENV)/built-*
	@echo "Python packages and the C core: a minute the first time" >&2
	@if [ ! -e $(VENV)/packages ] || [ pyproject.toml -nt $(VENV)/packages ]; then \
	  set -e; \
	  $(PYTHON) -m venv $(VENV); \
	  $(BIN)/python -m pip install --quiet --upgrade pip 'setuptools>=77' 'cython>=3'; \
	  PYTHONWARNINGS=ignore $(BIN)/python -m pip install --quiet --no-build-isolation --editable '.[dev]'; \
	  touch $(VENV)/packages; \
	else \
	  $(BIN)/python setup.py --quiet build_ext --inplace; \
	fi
	@touch $@

# Installs the packages in $$missing, or says that they are.
INSTALL = if [ -n "$$missing" ]; then \
	  if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$missing; \
	  else \
	    echo "mqfast needs these packages first: apt-get install" $$missing "(or what your system calls them)" >&2; exit 1; \
	  fi; \
	fi

$(VENV)/system:
	@missing=""; \
	command -v gcc >/dev/null || missing="gcc libc6-dev"; \
	{ ! command -v gcc >/dev/null || ! echo '#include <openssl/ssl.h>' | gcc -E - >/dev/null 2>&1; } && missing="$$missing libssl-dev"; \
	command -v node >/dev/null || missing="$$missing nodejs"; \
	command -v npm >/dev/null || missing="$$missing npm"; \
	if [ $(PYTHON) != python3 ] && ! command -v $(PYTHON) >/dev/null; then \
	  echo "there is no $(PYTHON) here, which PYTHON names" >&2; exit 1; \
	elif ! command -v $(PYTHON) >/dev/null; then \
	  missing="$$missing python3 python3-venv python3-dev"; \
	else \
	  $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	    { echo "mqfast needs Python 3.11 or newer; name one with: make PYTHON=python3.11" >&2; exit 1; }; \
	  $(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || missing="$$missing python3-venv"; \
	  $(PYTHON) -c 'import os, sys, sysconfig as s; sys.exit(not os.path.exists(s.get_path("include") + "/Python.h"))' || \
	    missing="$$missing python3-dev"; \
	fi; \
	$(INSTALL)
	@mkdir -p $(VENV) && touch $@

$(VENV)/browser: | $(VENV)/system
	@missing=""; \
	command -v chromium >/dev/null || missing="chromium"; \
	$(INSTALL)
	@touch $@
