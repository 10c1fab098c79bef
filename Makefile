# `make test` and `make demo` do all of their own set-up; running them again installs nothing twice.
PYTHON ?= python3
SECONDS ?= 600
SEED ?= 1
START := $(shell date +%s)
SOURCES := $(shell find src -type f -not -name '*.pyc')

.PHONY: test soak demo wheel model fuzz docs benchmark benchmark-feed clean

test: .venv/installed
	@date +%s > .venv/set-up
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	@date +%s > .venv/linted
	# a worker a core: more threads than that only wait for each other
	OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 .venv/bin/pytest
	@set -- $(START) $$(cat .venv/set-up .venv/linted) $$(date +%s) && \
	  echo "set-up $$(($$2 - $$1)) s, style and types $$(($$3 - $$2)) s, tests $$(($$4 - $$3)) s"

# What the models in the box say of a real chest film, which comes with pydicom-data.
demo: .venv-demo/installed
	@mkdir -p demo
	@cp "$$(.venv-demo/bin/python -c 'import data_store, pathlib; print(pathlib.Path(data_store.__file__).parent)')/data/RG1_UNCR.dcm" demo/film.dcm
	.venv-demo/bin/hilum predict demo/film.dcm --heatmap demo/heatmaps
	.venv-demo/bin/hilum predict --boxes demo/film.dcm --heatmap demo/boxes
	@echo
	@echo "Open demo/heatmaps/film.dcm.png (what speaks for pneumonia, and how much) and demo/boxes/film.dcm.png (where)."
	@echo "Next: .venv-demo/bin/hilum predict YOUR-FILMS --heatmap overlays, or: .venv-demo/bin/hilum show"

# The source distribution, and from it the wheel, into dist/.
wheel: .venv/installed
	.venv/bin/python -m build --no-isolation --outdir dist

# What `make test` does for seconds, for hours: kills, floods and damaged files.
soak: .venv/installed
	HILUM_SOAK=1 .venv/bin/pytest -m soak -v --durations=0

# Damaged films, then changed bundles, new ones every time, each for SECONDS from SEED on.
fuzz: .venv/installed
	.venv/bin/python tests/fuzz.py $(SECONDS) $(SEED)
	.venv/bin/python tests/fuzz_bundles.py $(SECONDS) $(SEED)

# The pages and pictures under docs/ that are made from the code.
docs: .venv/installed
	.venv/bin/python docs/bundled_dicom.py
	.venv/bin/python docs/recipe_keys.py
	.venv/bin/python docs/overlays.py
	.venv/bin/python docs/api_pages.py

# Both models in the box and their cards, from the public sets in DATA (kermany-224, siim-covid-256, nih-adult-256):
# about an hour and a half on 2 cores. The classifier starts from what boxes taught the same network.
DATA ?= ../shared/data
TRAIN = .venv/bin/hilum train --set training.compile=true
model: .venv/installed
	mkdir -p model
	.venv/bin/python results/model_data.py $(DATA) model
	$(TRAIN) model/siim.parquet --recipe boxes --set detector.box_loss=giou --set phases.0.epochs=6 --out model/first-boxes
	$(TRAIN) model/siim.parquet --recipe boxes --set network.weights=model/first-boxes/checkpoints/best.ckpt \
	  --set phases.0.epochs=4 --out model/boxes
	.venv/bin/python results/body_of_detector.py model/first-boxes model/boxes-body.safetensors
	$(TRAIN) model/films.parquet --recipe children-and-adults --set network.weights=model/boxes-body.safetensors \
	  --set training.seed=0 --out model/default
	.venv/bin/hilum export model/default --fp16-weights -o src/hilum/models/default.onnx
	.venv/bin/hilum export model/boxes --fp16-weights --prevalence 0.225 -o src/hilum/models/boxes.onnx
	.venv/bin/python results/model_cards.py model/films.parquet docs/models

benchmark: .venv/installed
	.venv/bin/python benchmarks/reading.py
	.venv/bin/python benchmarks/store.py
	.venv/bin/python benchmarks/augment.py
	.venv/bin/python benchmarks/audit.py
	.venv/bin/python benchmarks/figures.py
	.venv/bin/python benchmarks/predict.py
	.venv/bin/python benchmarks/detect.py

# With NVIDIA DALI as a peer, in an environment of its own.
benchmark-feed: .venv-dali/installed
	.venv-dali/bin/python benchmarks/feed.py

.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "hilum needs Python 3.11 or newer: make PYTHON=python3.12 test")'
	$(PYTHON) -m venv .venv
	.venv/bin/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[codecs,train,serve,dev]'
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
	rm -rf .venv .venv-demo .venv-dali demo dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
