# `make test` and `make demo` do all of their own set-up; running them again installs nothing twice.
PYTHON ?= python3
SECONDS ?= 600
SEED ?= 1
SOURCES := $(shell find src -name '*.py')

.PHONY: test demo fuzz docs benchmark benchmark-feed clean

test: .venv/installed
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	# a worker a core: more threads than that only wait for each other
	OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 .venv/bin/pytest

# Until a model ships, the main job is to read a real chest film and show what hilum sees.
demo: .venv-demo/installed
	@mkdir -p demo
	.venv-demo/bin/hilum inspect --png demo \
	  "$$(.venv-demo/bin/python -c 'import data_store, pathlib; print(pathlib.Path(data_store.__file__).parent)')/data/RG1_UNCR.dcm"
	@echo "Open demo/RG1_UNCR.dcm.png to see the film; next: .venv-demo/bin/hilum inspect YOUR-FILMS"

# Damaged files, new ones every time, for SECONDS from SEED on.
fuzz: .venv/installed
	.venv/bin/python tests/fuzz.py $(SECONDS) $(SEED)

# The pages under docs/ that are made from the code.
docs: .venv/installed
	.venv/bin/python docs/bundled_dicom.py

benchmark: .venv/installed
	.venv/bin/python benchmarks/reading.py
	.venv/bin/python benchmarks/store.py
	.venv/bin/python benchmarks/augment.py
	.venv/bin/python benchmarks/audit.py
	.venv/bin/python benchmarks/predict.py
	.venv/bin/python benchmarks/detect.py

# With NVIDIA DALI as a peer, in an environment of its own.
benchmark-feed: .venv-dali/installed
	.venv-dali/bin/python benchmarks/feed.py

.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "hilum needs Python 3.11 or newer: make PYTHON=python3.12 test")'
	$(PYTHON) -m venv .venv
	.venv/bin/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[codecs,train,dev]'
	# heatmaps are compared with this package; by itself it would bring a second OpenCV
	.venv/bin/pip install --quiet --disable-pip-version-check --constraint constraints.txt --no-deps grad-cam ttach
	touch $@

.venv-dali/installed: pyproject.toml constraints.txt
	test -d .venv-dali || $(PYTHON) -m venv .venv-dali
	.venv-dali/bin/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[codecs,train,dali]'
	touch $@

.venv-demo/installed: pyproject.toml constraints.txt $(SOURCES)
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "hilum needs Python 3.11 or newer: make PYTHON=python3.12 demo")'
	test -d .venv-demo || $(PYTHON) -m venv .venv-demo
	.venv-demo/bin/pip install --quiet --disable-pip-version-check --constraint constraints.txt --force-reinstall --no-deps .
	.venv-demo/bin/pip install --quiet --disable-pip-version-check --constraint constraints.txt . pydicom-data
	touch $@

clean:
	rm -rf .venv .venv-demo .venv-dali demo .mypy_cache .pytest_cache .ruff_cache .hypothesis
