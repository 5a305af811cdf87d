# make demo | test | lint | bench. Each sets up what it needs: Python 3.12 (or 3.13), gcc and make suffice.
PYTHON ?= python3
BIN := .venv/bin
# Compiled at installation, so that every MPI process and Prefect start in a second, not in ten.
INSTALL := $(BIN)/uv pip install --quiet --compile-bytecode

# Solver processes are parallel by MPI alone.
export OMP_NUM_THREADS = 1

.PHONY: demo test lint bench setup gmsh-libraries browser calculix clean

demo: setup
	$(BIN)/romflow run generate-ns-data --study cylinder-demo
	$(BIN)/romflow show cylinder-demo --animation datasets/cylinder-demo/vorticity.gif

test: setup lint browser calculix
	$(BIN)/python tests/side_by_side.py

lint: setup
	$(BIN)/ruff check --no-cache .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# All of them, whatever the targets say; fails at the end if one was missed. BENCH=--quick for short ones.
bench: setup
	@missed=; for script in ns_throughput solver_share schaefer_turek ghia taylor_green kill_resume \
	    sequences sequences_other chunks bandit skr recycling ordering online online_offline \
	    online_faults breed local_bases rom_data rom_service enrichment fmu cubature rom_structures \
	    submission slurm_throughput slurm_faults scaling; do \
	  $(BIN)/python benchmarks/$$script.py $(BENCH) || missed="$$missed $$script"; done; \
	test -z "$$missed" || { echo "targets missed in:$$missed"; exit 1; }

setup: .venv/installed

.venv/installed: requirements.txt pyproject.toml
	$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(None if (3, 12) <= v < (3, 14) else f"romflow needs Python 3.12 or 3.13, received {v[0]}.{v[1]}: make PYTHON=python3.12 ...")'
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	$(INSTALL) --requirement requirements.txt
	$(INSTALL) --no-deps --no-build-isolation --editable .
	$(BIN)/python -c 'import gmsh' 2>/dev/null || $(MAKE) --no-print-directory gmsh-libraries
	touch $@

# gmsh's wheel needs libraries of the system that bare machines lack; without root, it says which.
gmsh-libraries:
	-test "$$(id -u)" = 0 && apt-get update -qq && DEBIAN_FRONTEND=noninteractive \
	  apt-get install -y -qq --no-install-recommends libglu1-mesa libgl1 libxrender1 libxcursor1 libxft2 libxinerama1
	$(BIN)/romflow doctor

# For the tests of the page: the system's Chromium or Chrome, else one that playwright fetches.
browser: setup
	@for name in google-chrome google-chrome-stable chromium chromium-browser; do \
	  command -v $$name > /dev/null && exit 0; done; \
	test "$$(id -u)" = 0 && apt-get update -qq && DEBIAN_FRONTEND=noninteractive \
	  apt-get install -y -qq --no-install-recommends chromium || \
	  $(BIN)/playwright install chromium

# For the tests of its adapter; without root they fail and say so.
calculix:
	@command -v ccx > /dev/null || { test "$$(id -u)" = 0 && apt-get update -qq && \
	  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends calculix-ccx; } || \
	  echo "ccx is missing: install CalculiX (Debian: calculix-ccx)" >&2

clean:
	rm -rf .venv
