# The ways in. `make help` lists the targets; arguments go through ARGS="...".
.DEFAULT_GOAL := help
PYTHON ?= python3
BIN := .venv/bin
UV := 0.13.9
MIRROR = $(if $(UV_DEFAULT_INDEX),--index-url $(UV_DEFAULT_INDEX))
MODEL := gemma3_270m
PARALLEL := --numprocesses auto --dist loadfile
SERVER_STORE = MLFLOW_BACKEND_STORE_URI="$${MLFLOW_BACKEND_STORE_URI:-sqlite:///$(CURDIR)/outputs/server/mlflow.db}"
SERVER_ARTIFACTS = MLFLOW_ARTIFACTS_DESTINATION="$${MLFLOW_ARTIFACTS_DESTINATION:-$(CURDIR)/outputs/server/artifacts}"
VERSION := import sys; print("%d.%d" % sys.version_info[:2])
define CHECK
import os, shutil, sys
needs = "Linux, Python 3.11 to 3.14 with venv, 7 GB of disk and 4.1 GiB of memory are needed"
if not (3, 11) <= sys.version_info[:2] <= (3, 14):
    sys.exit("%s; this is Python %d.%d: name another, PYTHON=python3.12" % ((needs,) + sys.version_info[:2]))
try:
    import ensurepip, venv
except ImportError:
    sys.exit("%s; this Python lacks venv: apt install python3-venv, or name another, PYTHON=python3.12" % needs)
if not os.path.isdir(".venv") and shutil.disk_usage(".").free < 7e9:
    sys.exit("%s; this disk has %.1f GB left" % (needs, shutil.disk_usage(".").free / 1e9))
endef
export CHECK
.PHONY: help setup demo test test-all lint run sweep ui report data model mlflow-server bench gpu-check app clean

help: ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'

setup: .venv/.ready ## make .venv with the pinned dependencies

.venv/.ready: requirements.lock pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "$(PYTHON): not found; name a Python, 3.11 to 3.14: PYTHON=python3.12"; exit 1; }
	@$(PYTHON) -c "$$CHECK"
	@test "$$(.venv/bin/python -c '$(VERSION)' 2>&1)" = "$$($(PYTHON) -c '$(VERSION)')" || rm -rf .venv
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(MIRROR) uv==$(UV)
	@echo "several gigabytes come now, once (a mirror: UV_DEFAULT_INDEX=https://.../simple)"
	VIRTUAL_ENV=$(CURDIR)/.venv $(BIN)/uv pip install --require-hashes -r requirements.lock
	VIRTUAL_ENV=$(CURDIR)/.venv $(BIN)/uv pip install --quiet --no-deps --editable .
	touch $@

demo: setup ## untuned, few-shot and tuned on the sample corpus (minutes): make demo MODEL=...
	$(if $(filter qwen2_5_coder_%,$(MODEL)),$(BIN)/python -m experiments.models.fetch $(MODEL))
	$(BIN)/chmed-ner run sweep=demo backbone=$(MODEL) $(ARGS)
	@echo; echo "every sentence, gold beside predicted: report.html in a run's directory. compare the runs: make ui"

test: setup ## the tests, without the slowest
	$(BIN)/python -m pytest $(PARALLEL) $(ARGS)

test-all: setup ## every test
	$(BIN)/python -m pytest -m "slow or not slow" $(ARGS)

lint: setup ## ruff and mypy
	$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy

run: setup ## one experiment: make run ARGS="dataset=rocling2022"
	$(BIN)/chmed-ner run $(ARGS)

sweep: setup ## a named grid: make sweep ARGS="sweep=regimes"
	$(BIN)/chmed-ner run --multirun $(ARGS)

ui: setup ## the MLflow UI over our runs: make ui ARGS="--port 5001"
	$(BIN)/chmed-ner ui $(ARGS)

report: setup ## a leaderboard of our runs, with figures: make report ARGS="--experiment NAME"
	$(BIN)/chmed-ner report $(ARGS)

data: setup ## download the corpora: make data ARGS="rocling2023"
	$(BIN)/chmed-ner data fetch $(ARGS)

model: setup ## bring a language model's file: make model NAME=qwen2_5_coder_0_5b
	$(BIN)/python -m experiments.models.fetch $(NAME)

mlflow-server: setup ## an MLflow server with artifact store: conf/tracking/README.md
	@mkdir -p outputs/server
	cd outputs/server && $(SERVER_STORE) $(SERVER_ARTIFACTS) $(abspath $(BIN))/mlflow server $(ARGS)

bench: setup ## speed and memory beside TRL and transformers: make bench ARGS="--smoke"
	$(BIN)/python experiments/benchmark/bench.py $(ARGS)

gpu-check: setup ## does the CUDA path keep its word? in 6 minutes, on random weights
	$(BIN)/python experiments/benchmark/gpu_check.py $(ARGS)

app: setup ## a page to type text and see entities (extra app): make app ARGS="--port 7861"
	$(BIN)/python -m chmed_ner.cli.app $(ARGS)

clean: ## remove caches; runs and .venv stay
	rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis dist build
	find chmed_ner tests -name __pycache__ -prune -exec rm -rf {} +
