"""`hilum node` beside a real archive, Orthanc, with dcmtk as caller: results come back into the film's study."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest
from bundles import tiny_detection_bundle
from nodes import Node, encoded, films

ORTHANC = shutil.which("Orthanc") or shutil.which("Orthanc", path="/usr/sbin")
# Orthanc listens on every address of the machine: so it gets a network of its own.
ALONE = ["unshare", "-rn"]
PLUGIN = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")
# A film that Orthanc sends, one that comes while the node is down, and both for a node that knows DICOMweb alone.
WALK = """
ip link set lo up
node() { "$1" -m hilum node $2.toml >> $2.log 2>&1 & }
sent() { wait_for '[ $(grep -c "all results sent\\|dead letter" '"$1.log) -ge $2 ]"; }
wait_for() { for i in $(seq 600); do eval "$1" && return; sleep 0.2; done; echo "in vain: $1"; exit 1; }
"$1" orthanc.json > orthanc.log 2>&1 & archive=$!
wait_for 'echoscu -aec ARCHIVE 127.0.0.1 4242 2> /dev/null'
node "$2" NODE; node=$!
node "$2" WEB; web=$!
trap 'kill $node $web $archive; wait' EXIT
wait_for 'grep -q "listens on" NODE.log'
storescu -aet NOBODY -aec HILUM 127.0.0.1 11112 film.dcm 2> refused && exit 1
storescu -aet WARD -aec ARCHIVE 127.0.0.1 4242 film.dcm || exit 1
instance=$(curl -s http://127.0.0.1:8042/instances | tr -d '[] "\\n')
curl -s -X POST http://127.0.0.1:8042/modalities/node/store -d "$instance" > sent.json
sent NODE 1
kill -9 $node
storescu -aet WARD -aec ARCHIVE 127.0.0.1 4242 missed.dcm || exit 1
node "$2" NODE; node=$!
sent NODE 2
sent WEB 2
curl -s 'http://127.0.0.1:8042/series?expand' > series.json
"$2" -m hilum predict "$3" dicomweb+http://127.0.0.1:8042/dicom-web --out results --processes 1 > predicted 2>&1
curl -s 'http://127.0.0.1:8042/studies?expand' > studies.json
"""
# Decided elsewhere, so that its reports are others.
WEB = """
spool = 'web'
port = 11113
processes = 1
[[catch_up]]
title = 'WEB'
dicomweb = 'http://127.0.0.1:8042/dicom-web'
every_seconds = 0.5
[[target]]
name = 'web'
url = 'http://127.0.0.1:8042/dicom-web/'
[[rule]]
to = ['web']
threshold = 0.99
model = '{model}'
"""


def test_orthanc_has_the_results_of_every_film_in_its_study_whether_it_sent_the_film_or_not(tmp_path: Path) -> None:
    tools = ("storescu", "echoscu", "unshare", "curl", "ip")
    if ORTHANC is None or not PLUGIN.exists() or not all(map(shutil.which, tools)):
        pytest.skip("Orthanc, its DICOMweb plugin, dcmtk, unshare, ip or curl is not installed")
    if subprocess.run([*ALONE, "ip", "link", "set", "lo", "up"], capture_output=True).returncode:
        pytest.skip("no network of its own is to be had here")
    bundle = tiny_detection_bundle(tmp_path, maps=True)
    asking = (
        "callers = ['WARD']\n[[catch_up]]\ntitle = 'ARCHIVE'\northanc = 'http://127.0.0.1:8042'\nevery_seconds = 0.5"
    )
    Node(tmp_path, bundle, 4242, asking, {"results": ["sr", "gsps", "sc"]})
    (tmp_path / "WEB.toml").write_text(WEB.format(model=bundle))
    today = f"{date.today():%Y%m%d}"
    for name, study in (("film", "1.2.3"), ("missed", "1.2.4")):
        (tmp_path / f"{name}.dcm").write_bytes(encoded(films(1, study, StudyDate=today)[0]))
    orthanc = {"DicomAet": "ARCHIVE", "DicomModalities": {"node": ["HILUM", "127.0.0.1", 11112]}}
    orthanc |= {"Plugins": [str(PLUGIN)], "DicomWeb": {"Enable": True}}
    folders = {"StorageDirectory": str(tmp_path / "db"), "IndexDirectory": str(tmp_path / "db")}
    (tmp_path / "orthanc.json").write_text(json.dumps(orthanc | folders))
    settings = tmp_path / "NODE.toml"
    text = re.sub(r"(?m)^port = \d+", "port = 11112", settings.read_text(), count=1)
    settings.write_text(text.replace("port = 4242", "port = 4242\ncommitment = true"))
    subprocess.run([*ALONE, "bash", "-c", WALK, "walk", ORTHANC, sys.executable, str(bundle)], cwd=tmp_path, check=True)
    assert "Calling AE Title Not Recognized" in (tmp_path / "refused").read_text()
    assert (tmp_path / "NODE.log").read_text().count("all results sent, and committed to") == 2
    studies = json.loads((tmp_path / "studies.json").read_text())
    series = json.loads((tmp_path / "series.json").read_text())
    assert len(studies) == 2
    assert "2 films" in (tmp_path / "predicted").read_text()  # and none of the results
    for study in studies:
        found = [one for one in series if one["ParentStudy"] == study["ID"]]
        counts = {one["MainDicomTags"]["Modality"]: len(one["Instances"]) for one in found}
        assert counts == {"CR": 1, "OT": 1, "PR": 1, "SR": 2}
