# Every target, with what it does: make help
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
# For example a CPU build of torch: make setup PIP_ARGS="--extra-index-url https://download.pytorch.org/whl/cpu"
PIP_ARGS ?=
# Options of the run: make train ARGS="model=resnet18 trainer.max_epochs=3"
ARGS ?=
# The competition's files for make bench-recipes and bench-pretraining
DATA ?=
# What make serve puts online: RUN= a run directory (the newest), FORMAT= of its bundle, SERVE_ARGS= more of serve/start.py
RUN ?=
FORMAT ?= onnx
SERVE_ARGS ?=
DEMO_ARGS ?=
# Options of make eda: EDA_ARGS="--run runs/default/2026-11-22_20-18-00"
EDA_ARGS ?=
# Options of make bench-serve: BENCH_ARGS="--price-per-hour 0.10"
BENCH_ARGS ?=
STAMP := $(VENV)/.installed

.DEFAULT_GOAL := help
.PHONY: help setup train test test-fast lint format lock bench bench-scaling bench-serve bench-recipes bench-pretraining serve demo stop eda notebooks docs setup-system setup-servers setup-docs clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-17s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(STAMP) ## make the virtual environment .venv with everything in it (PIP_ARGS=… goes to pip)

$(STAMP): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt $(PIP_ARGS) --editable '.[dev]'
	touch $@

setup-system: ## Debian packages that pip cannot bring: Java for TorchServe, Chromium for the page's tests (needs root)
	{ command -v javac && command -v chromium; } > /dev/null || { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends openjdk-17-jdk-headless chromium; }

setup-servers: .servers/mms/.installed .servers/sagemaker/.installed .servers/training/.installed ## Multi Model Server and SageMaker's two toolkits, in environments of their own

.servers/%/.installed: serve/servers/%.txt constraints.txt $(STAMP)
	test -x .servers/$*/bin/python || $(PYTHON) -m venv .servers/$*
	.servers/$*/bin/python -m pip install --quiet --constraint constraints.txt --requirement $<
	test $* = mms || $(BIN)/python -c "import site; print(site.getsitepackages()[0])" > $$(.servers/$*/bin/python -c "import site; print(site.getsitepackages()[0])")/torch-of-the-project.pth
	touch $@

train: $(STAMP) ## render the synthetic data set, train, print the scores (ARGS=…)
	$(BIN)/python train.py $(ARGS)

test: $(STAMP) ## the whole test suite
	$(BIN)/python -m pytest -n auto -m "not serial"
	$(BIN)/python -m pytest -m serial

test-fast: $(STAMP) ## the part of it that takes less than five minutes
	$(BIN)/python -m pytest -n auto -m "not serial and not slow"

lint: $(STAMP) ## ruff: errors and formatting
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: $(STAMP) ## let ruff format and mend what it can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

lock: $(STAMP) ## write what is installed now into constraints.txt
	(head -n 1 constraints.txt; $(BIN)/python -m pip freeze --exclude-editable) > constraints.txt.part
	mv constraints.txt.part constraints.txt

bench: $(STAMP) ## measure: input pipeline, Lightning's share, Parquet ingest, start-up
	$(BIN)/python scripts/benchmark.py

bench-scaling: $(STAMP) ## measure: two processes against one, memory of several
	$(BIN)/python scripts/benchmark.py --only scaling,memory --rows 20000 --rounds 3 --out reports/bench-scaling.json

bench-serve: $(STAMP) ## measure: TorchServe, Multi Model Server, Ray Serve against the same network in process (BENCH_ARGS=…)
	$(BIN)/python scripts/benchmark_serving.py $(BENCH_ARGS)

bench-recipes: $(STAMP) ## measure what each augmentation, loss and trick is worth on the competition's files (DATA=…), an hour; goes on
	$(BIN)/python scripts/benchmark_recipes.py data.dir=$(DATA) --page docs/benchmarks.md

bench-pretraining: $(STAMP) ## compare pretrainings on the competition's files (DATA=…), half an hour; goes on where it stopped
	$(BIN)/python scripts/compare_pretraining.py $(DATA)

serve: $(STAMP) ## put a run online with TorchServe (RUN=… FORMAT=…), http://127.0.0.1:8080
	$(BIN)/python serve/start.py $(if $(RUN),--run $(RUN)) --format $(FORMAT) $(SERVE_ARGS)

demo: $(STAMP) ## open a page where one draws a grapheme and sees it read
	$(BIN)/python serve/demo.py $(if $(RUN),--run $(RUN)) --format $(FORMAT) $(DEMO_ARGS)

stop: $(STAMP) ## end that server
	$(BIN)/python serve/stop.py

eda: $(STAMP) ## a page that shows the data: classes, samples, folds, doubtful labels (DATA=…, EDA_ARGS=…)
	$(BIN)/python scripts/eda.py $(if $(DATA),data=bengali data.dir=$(DATA)) $(EDA_ARGS)

notebooks: $(STAMP) ## the workshop's pages as notebooks, in notebooks/
	$(BIN)/python scripts/make_notebooks.py

docs: $(STAMP) .servers/web/.installed ## the guide as a site, in site/, with the page that reads a drawing in the browser
	$(BIN)/python scripts/build_docs.py

setup-docs: .servers/web/.installed ## what that page runs on: ONNX Runtime for browsers, from npm

.servers/web/.installed: scripts/setup_docs.py src/okkhor/serving/web_runtime.py $(STAMP)
	$(BIN)/python scripts/setup_docs.py
	touch $@

clean: ## remove what tests and tools cached; data, runs and the environment stay
	rm -rf .pytest_cache .ruff_cache .hypothesis build src/*.egg-info
