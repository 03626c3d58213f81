# `make run` and `make test` each do all the set-up and then their job.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
# the tested versions, where there are any for this Python and platform; none: make CONSTRAINTS=
CONSTRAINTS ?= $(wildcard constraints/$(shell $(PYTHON) -c "import platform, sys; print('python%d.%d-%s-%s' % (*sys.version_info[:2], sys.platform, platform.machine()))").txt)

export KEDRO_DISABLE_TELEMETRY := 1
export MLFLOW_DISABLE_TELEMETRY := true

.PHONY: run test audit fuzz kills bench docs setup lock clean

run: $(INSTALLED)
	for pipeline in explore $$($(BIN)/python -m anomalous_sound.methods) compare; do \
		$(BIN)/kedro run --pipelines $$pipeline || exit 1; \
	done

test: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/bandit --quiet --recursive --configfile pyproject.toml src
	$(BIN)/python -m pytest -n auto --dist loadfile

# known holes in what is installed; asks an advisory database, so it needs the network
audit: $(INSTALLED)
	$(BIN)/python -m pip install --quiet "pip-audit>=2.8,<3"
	$(BIN)/python -m constraints.audit

# damaged recordings, many more than the tests look at: make fuzz FUZZ_COUNT=10000 FUZZ_SEED=2
fuzz: $(INSTALLED)
	FUZZ_COUNT=$(or $(FUZZ_COUNT),10000) FUZZ_SEED=$(or $(FUZZ_SEED),1) \
		$(BIN)/python -m pytest -n auto tests/robustness/test_fuzz.py
	$(BIN)/python tests/robustness/fuzz.py \
		--count $(or $(FUZZ_COUNT),10000) --seed $(or $(FUZZ_SEED),1)

# runs that are killed at random moments, and run again: make kills KILLS=50 KILLS_SEED=2
kills: $(INSTALLED)
	$(BIN)/python tests/robustness/kills.py --kills $(or $(KILLS),15) --seed $(or $(KILLS_SEED),1)

# ratios against the plain way, written to benchmarks/RESULTS.md
bench: $(INSTALLED)
	$(BIN)/python -m benchmarks.run

# the documentation as a site, in site/
docs: $(INSTALLED)
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

setup: $(INSTALLED)

# writes down the versions that are installed, for `make setup` to install again; newer ones:
# rm -r .venv, make test CONSTRAINTS=, make lock
lock:
	$(BIN)/python -m constraints.lock

$(INSTALLED): pyproject.toml $(CONSTRAINTS)
	$(PYTHON) -c "import sys; assert (3, 11) <= sys.version_info < (3, 14), 'Python 3.11 to 3.13 is needed; give it as make PYTHON=python3.11'"
	$(PYTHON) -m venv $(VENV)
	$(if $(CONSTRAINTS),,@echo "No lock is used: the newest versions that pyproject.toml allows are installed.")
	$(BIN)/python -m pip install --quiet $(addprefix -c ,$(CONSTRAINTS)) -e ".[dev]"
	@echo "$(or $(CONSTRAINTS),no lock)" > $@

# removes what runs have written, not the recordings
clean:
	rm -rf data/0[2-8]_*/* .unrecorded .pytest_cache .ruff_cache mlflow.db mlruns
