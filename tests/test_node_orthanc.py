"""`hilum node` beside a real archive, Orthanc, with dcmtk as caller: results come back into the film's study."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from bundles import tiny_detection_bundle
from nodes import Node, encoded, films

ORTHANC = shutil.which("Orthanc") or shutil.which("Orthanc", path="/usr/sbin")
# Orthanc listens on every address of the machine: so it gets a network of its own.
ALONE = ["unshare", "-rn"]
WALK = """
ip link set lo up
"$1" orthanc.json > orthanc.log 2>&1 & archive=$!
"$2" -m hilum node NODE.toml > node.log 2>&1 & node=$!
trap 'kill $node $archive; wait' EXIT
until grep -q "listens on" node.log && echoscu -aec ARCHIVE 127.0.0.1 4242 2> /dev/null; do sleep 0.2; done
storescu -aet WARD -aec ARCHIVE 127.0.0.1 4242 film.dcm || exit 1
instance=$(curl -s http://127.0.0.1:8042/instances | tr -d '[] "\\n')
curl -s -X POST http://127.0.0.1:8042/modalities/node/store -d "$instance" > sent.json
until grep -q "all results sent\\|dead letter" node.log; do sleep 0.2; done
curl -s 'http://127.0.0.1:8042/series?expand' > series.json
curl -s 'http://127.0.0.1:8042/studies' > studies.json
"""


def test_orthanc_sends_a_film_and_has_its_results_in_the_same_study(tmp_path: Path) -> None:
    tools = ("storescu", "echoscu", "unshare", "curl", "ip")
    if ORTHANC is None or not all(map(shutil.which, tools)):
        pytest.skip("Orthanc, dcmtk, unshare, ip or curl is not installed")
    if subprocess.run([*ALONE, "ip", "link", "set", "lo", "up"], capture_output=True).returncode:
        pytest.skip("no network of its own is to be had here")
    node = Node(tmp_path, tiny_detection_bundle(tmp_path, maps=True), 4242, "", {"results": ["sr", "gsps", "sc"]})
    (tmp_path / "film.dcm").write_bytes(encoded(films(1)[0]))
    orthanc = {"DicomAet": "ARCHIVE", "DicomModalities": {"node": ["HILUM", "127.0.0.1", node.port]}}
    folders = {"StorageDirectory": str(tmp_path / "db"), "IndexDirectory": str(tmp_path / "db")}
    (tmp_path / "orthanc.json").write_text(json.dumps(orthanc | folders))
    subprocess.run([*ALONE, "bash", "-c", WALK, "walk", ORTHANC, sys.executable], cwd=tmp_path, check=True)
    series = json.loads((tmp_path / "series.json").read_text())
    assert sorted(one["MainDicomTags"]["Modality"] for one in series) == ["CR", "OT", "PR", "SR"]
    assert len(json.loads((tmp_path / "studies.json").read_text())) == 1
