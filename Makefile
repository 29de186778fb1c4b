# make: set up .venv; make demo: the main job on bundled instances; make serve: the service; make test: the tests.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
DEMO := demo-results

.PHONY: all demo serve test check assurance assurance-reduced clean

all: $(STAMP)

$(STAMP): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(not ((3, 11) <= sys.version_info[:2] <= (3, 12)))' 2>/dev/null || \
	  { echo "versus needs Python 3.11 or 3.12; found: $$($(PYTHON) --version 2>&1). Try: make PYTHON=python3.12"; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || \
	  { echo "versus needs Python's venv module; on Debian: apt-get install python3-venv"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

# Exit code 1 of compare says that some run has no answer: trial division, rho and the network have their limits, as the report shows.
demo: $(STAMP)
	$(BIN)/versus compare instances/bundled --solver ortools --solver pyvrp --solver insertion --solver nearest --solver pointer \
	  --solver quadratic-sieve --solver ecm --solver rho --solver trial --solver pointer-prime \
	  --budget 200ms --seeds 3 --out $(DEMO) || [ $$? -eq 1 ]
	@echo "Open $(DEMO)/report.html in a browser."

serve: $(STAMP)
	$(BIN)/versus serve

test: $(STAMP)
	$(BIN)/python -m pytest

check: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

assurance: $(STAMP)
	$(BIN)/python -m pytest -m slow
	$(BIN)/python tests/assurance/mutation.py
	$(BIN)/python tests/assurance/false_claims.py
	$(BIN)/python -m pytest tests/services/runner
	$(BIN)/python benchmarks/overheads.py
	$(BIN)/python benchmarks/adapter_loss.py
	$(BIN)/python benchmarks/factoring_overhead.py
	$(BIN)/python -m tests.faults.chaos
	$(BIN)/python -m tests.faults.fuzz
	$(BIN)/python -m tests.faults.disk
	$(BIN)/python -m tests.faults.network
	$(BIN)/python -m benchmarks.service_load

# Those of the checks that `make test` does not hold in a short form, in minutes; limits on times are slack, because nobody knows what else the machine does.
assurance-reduced: $(STAMP)
	$(BIN)/python tests/assurance/mutation.py --sample 40
	$(BIN)/python benchmarks/overheads.py --slack 5
	$(BIN)/python benchmarks/adapter_loss.py --seconds 0.2 --seeds 1 --limit 1.2 instances/bundled/x.jsonl
	$(BIN)/python -m tests.faults.chaos --runs 60
	$(BIN)/python -m tests.faults.fuzz --requests 500 --examples 2
	$(BIN)/python -m benchmarks.service_load --runs 100 --instances 1000 --stored 20000 --slack 5

clean:
	rm -rf $(VENV) $(DEMO) .pytest_cache .mypy_cache .ruff_cache
