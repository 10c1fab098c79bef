"""torchrun over two machines, each a network of its own: when one is lost, the other goes on by itself."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import SOAK
from test_train_command import SMALL, films  # noqa: F401

from hilum.training.run import Run

# This machine, with a network of its own, and another one, which has its processes to itself as well and is killed as a
# whole or has its cable pulled. Words of hilum follow the interpreter.
MACHINES = """
ip link set lo up
unshare -n sleep 3000 & far=$!
sleep 1
ip link add here type veth peer name there netns $far
ip addr add 10.11.0.1/24 dev here; ip link set here up
nsenter -t $far -n sh -c 'ip link set lo up; ip addr add 10.11.0.2/24 dev there; ip link set there up'
how=$1 run=$2; shift 2
nodes="-m torch.distributed.run --nnodes 1:2 --nproc-per-node 1 --max-restarts 2 --rdzv-backend c10d"
nodes="$nodes --rdzv-endpoint 10.11.0.1:29400 --rdzv-id x"
conf=last_call_timeout=3,join_timeout=300
python=$1; shift
GLOO_SOCKET_IFNAME=here $python $nodes --local-addr 10.11.0.1 --rdzv-conf is_host=1,$conf -m "$@" 2> one & one=$!
GLOO_SOCKET_IFNAME=there nsenter -t $far -n unshare -pf --kill-child=KILL \
  $python $nodes --local-addr 10.11.0.2 --rdzv-conf is_host=0,$conf -m "$@" 2> two & two=$!
trap 'kill -9 $two $far; kill $one; wait $one' EXIT
epochs() { cat $run/history.csv 2> /dev/null | wc -l; }
until_epoch() { while [ $(epochs) -le $1 ]; do kill -0 $one || exit 1; sleep 0.2; done; }
until_epoch 2
if [ $how = silent ]; then ip link set here down; else kill -9 $two; fi
while ! grep -q 'goes on in one process' one; do kill -0 $one || exit 1; sleep 0.2; done
until_epoch $(($(epochs) + 1))
"""


def test_a_run_that_torchrun_may_start_again_has_a_name(
    films: Path,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from commands import run

    monkeypatch.setenv("TORCHELASTIC_MAX_RESTARTS", "3")
    answer = run("train", films, *SMALL)
    assert answer.returncode == 1
    assert "name the run's directory with --out" in answer.stderr


@pytest.mark.soak
@pytest.mark.skipif(not SOAK, reason="loads torch on two machines and again on one: `make soak` runs it")
@pytest.mark.parametrize("how", ["killed", "silent"])
def test_when_a_machine_is_lost_the_other_goes_on_from_the_last_checkpoint(
    films: Path,  # noqa: F811
    tmp_path: Path,
    how: str,
) -> None:
    if not all(map(shutil.which, ("unshare", "nsenter", "ip"))):
        pytest.skip("unshare, nsenter or ip is not installed")
    if subprocess.run(["unshare", "-rn", "ip", "link", "add", "here", "type", "veth"], capture_output=True).returncode:
        pytest.skip("no network of its own is to be had here")
    words = ["hilum", "train", str(films), *SMALL, "--set", "phases.0.epochs=100000", "--out", "run"]
    command = ["unshare", "-rn", "bash", "-c", MACHINES, "machines", how, "run", sys.executable, *words]
    subprocess.run(command, cwd=tmp_path, env=os.environ | {"OMP_NUM_THREADS": "1"}, check=True)
    told = (tmp_path / "one").read_text()
    lost = "has been silent for" if how == "silent" else "was lost"
    assert f"rank 1 of 2 {lost}" in told
    assert "the last checkpoint is whole, torchrun goes on with those that are left" in told
    assert "begun in 2 processes, goes on in one process" in told
    epochs = [row["epoch"] for row in Run(tmp_path / "run").read_history()]
    assert epochs == list(range(1, len(epochs) + 1))
