"""`hilum node`: films come in by C-STORE, results go back, and nothing is lost or doubled, whatever is killed."""

from __future__ import annotations

import random
import shutil
import signal
import socket
import ssl
import struct
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from bundles import tiny_detection_bundle
from commands import run
from conftest import SOAK
from nodes import CR, Archive, Node, archive, encoded, films, in_background, resident, running, send
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import SecondaryCaptureImageStorage
from pynetdicom import AE
from service import until
from test_dicom_results import NAME

from hilum.cli.predict.command import main
from hilum.node.queue import Queue
from hilum.node.settings.node import NodeError, load_settings

ALL = ["sr", "gsps", "sc", "pm", "seg"]
CALLERS: dict[str, dict[str, Any]] = {
    "ALL": {"results": ALL},
    "SHADOW": {"shadow": True, "body_part": ["CHEST"]},
    "ARCHIVE": {"to": ["sender"]},
    "STRANGER": {"to": ["sender"]},
    "STUDY": {"results": ["sr", "gsps"], "study_seconds": 1, "for_processing": True},
}
ECHO = "1.2.840.10008.1.1"
GIGABYTES = 0xFFFFFFFF


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_detection_bundle(tmp_path_factory.mktemp("bundle"), maps=True)


@pytest.fixture(scope="module")
def kept(bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Node, Archive]]:
    """A node that most tests share; who sends a film decides what becomes of it."""
    settings = f"callers = {[*CALLERS, 'SENDER']}\nassociations = 4"
    rules = ({"callers": [caller]} | rule for caller, rule in CALLERS.items())
    folder = tmp_path_factory.mktemp("node")
    with archive() as target, running(Node(folder, bundle, target.port, settings, *rules, {})) as node:
        yield node, target


@pytest.fixture
def node(kept: tuple[Node, Archive]) -> Node:
    return kept[0]


@pytest.fixture
def target(kept: tuple[Node, Archive]) -> Archive:
    return kept[1]


def echo(port: int, caller: str = "SENDER", **how: Any) -> int | None:
    entity = AE(caller)
    entity.add_requested_context(ECHO)
    association = entity.associate("127.0.0.1", port, ae_title="HILUM", **how)
    if not association.is_established:
        return None
    status: int = association.send_c_echo().Status
    association.release()
    return status


def test_a_film_comes_back_as_the_report_that_predict_writes_in_its_own_study(
    node: Node, target: Archive, bundle: Path, tmp_path: Path
) -> None:
    sent, before = films(2, "1.2.40"), node.counts()["done"]
    assert node.send(sent, "ALL") == [0, 0]
    node.until_done(before + 2)
    until(lambda: node.left() == [])  # what is delivered is kept nowhere
    for path in (node.spool, *node.spool.glob("*/")):
        assert path.stat().st_mode & 0o77 == 0
    expected = [uid for one in sent for uid in results_of(bundle, one, tmp_path)]
    arrived = [result for result in target.stored if result.StudyInstanceUID == "1.2.40"]
    assert sorted(str(result.SOPInstanceUID) for result in arrived) == sorted(expected)


def test_the_same_film_again_is_judged_once(node: Node, target: Archive) -> None:
    sent = films(1, "1.2.50")
    done, stored = node.counts()["done"], len(target.stored)
    assert node.send(sent * 3) == [0, 0, 0]
    node.until_done(done + 1)
    assert node.send(sent) == [0]
    assert len(target.stored) == stored + 1


def test_callers_are_those_of_the_settings(node: Node) -> None:
    assert echo(node.port) == 0
    assert echo(node.port, "NOBODY") is None
    assert send(node.port, films(1), called="OTHER") == [None]


def test_its_own_results_are_refused(node: Node, target: Archive) -> None:
    done = node.counts()["done"]
    node.send(films(1, "1.2.51"), "ALL")
    node.until_done(done + 1)
    until(lambda: node.left() == [])
    (capture,) = [
        one
        for one in target.stored
        if one.StudyInstanceUID == "1.2.51" and one.SOPClassUID == SecondaryCaptureImageStorage
    ]
    before = node.counts()
    assert node.send([capture]) == [0x0124]
    assert node.counts() == before


@pytest.mark.filterwarnings("ignore")  # pydicom's, of what is sent here
@pytest.mark.parametrize("instance", ["../evil", "/tmp/evil", "1.2.3\n4"], ids=range(3))
def test_an_identifier_is_never_a_path(node: Node, instance: str) -> None:
    before, dead = files_of(node), len(node.dead())
    (one,) = films(1, "1.2.60")
    one.SOPInstanceUID = instance
    assert node.send([one]) == [0]
    until(lambda: len(node.dead()) > dead)
    assert "no valid SOPInstanceUID" in node.dead()[-1]
    run("node", "drop", node.settings, str(newest(node)))
    assert files_of(node) == before


def test_what_cannot_be_read_is_a_dead_letter_that_can_be_tried_again_and_dropped(node: Node) -> None:
    (damaged,) = films(1, "1.2.52")
    damaged.PixelData = damaged.PixelData[:100]
    assert node.send([damaged]) == [0]
    until(node.dead)
    number = str(newest(node))
    assert f"film {number}: dead letter:" in run("node", "status", node.settings).stdout
    assert run("node", "retry", node.settings, "1000000").returncode == 1
    assert run("node", "retry", node.settings).stdout == "1 films are tried again\n"
    until(node.dead)
    assert node.left() == [f"films/{number}.dcm"]
    assert run("node", "drop", node.settings, number).stdout == f"film {number}: dropped\n"
    assert run("node", "drop", node.settings, number).returncode == 1
    assert node.dead() == node.left() == []


def test_a_target_that_is_down_gets_its_results_later_and_one_that_refuses_makes_dead_letters(
    node: Node, target: Archive
) -> None:
    done, stored = node.counts()["done"], len(target.stored)
    target.stop()
    assert node.send(films(2, "1.2.53")) == [0, 0]
    until(lambda: "cannot be reached" in run("node", "status", node.settings).stdout)
    target.start()
    node.until_done(done + 2)
    target.status = 0xA700
    assert node.send(films(1, "1.2.54")) == [0]
    until(lambda: "has no room" in run("node", "status", node.settings).stdout)
    target.status = 0xC000
    until(node.dead)
    assert node.dead() == ["archive was sent the sr and refuses it (status C000)"]
    target.status = 0
    run("node", "retry", node.settings)
    node.until_done(done + 3)
    assert len(set(target.instances[stored:])) == len(target.stored) - stored == 3


@pytest.mark.soak
def test_killed_again_and_again_it_loses_and_doubles_nothing(bundle: Path, tmp_path: Path) -> None:
    moments = random.Random(20)
    rules: tuple[dict[str, Any], ...] = ({"callers": ["STUDY"], "study_seconds": 0.5}, {})
    with archive() as target:
        node = Node(tmp_path, bundle, target.port, "", *rules)
        sent = {"SENDER": films(3, "1.2.3"), "STUDY": films(3, "1.2.4")}
        left = [
            (caller, one) for pair in zip(*sent.values(), strict=True) for caller, one in zip(sent, pair, strict=True)
        ]

        def keep_sending() -> None:
            while left:
                with suppress(OSError, RuntimeError, ValueError):
                    caller, one = left[0]
                    if node.send([one], caller) == [0]:
                        left.pop(0)
                        continue
                threading.Event().wait(0.05)

        sender = in_background(keep_sending)
        with running(node):
            for _ in range(50 if SOAK else 2):
                threading.Event().wait(moments.uniform(0.02, 1.0))
                node.stop(signal.SIGKILL)
                node.start()
            sender.join()
            node.until_done(6)
            # reports of a study's films stay, should another one come
            until(lambda: not [name for name in node.left() if not name.endswith((".sr.dcm", ".json"))])
            assert node.dead() == []
        single, studies = (
            [result for result in target.stored if result.StudyInstanceUID == uid] for uid in ("1.2.3", "1.2.4")
        )
        # what was sent at the moment of a kill is sent again, under the identifier by which an archive knows it
        assert len({str(result.SOPInstanceUID) for result in single}) == 3
        assert set().union(*map(named_in, single)) == {str(one.SOPInstanceUID) for one in sent["SENDER"]}
        # a study is reported anew when a film comes late, and its last report names them all
        assert named_in(studies[-1]) == {str(one.SOPInstanceUID) for one in sent["STUDY"]}
        assert len({str(result.SOPInstanceUID) for result in studies}) == len(
            {frozenset(named_in(one)) for one in studies}
        )


def test_a_sender_that_hangs_up_in_the_middle_leaves_nothing(node: Node) -> None:
    before = node.counts()
    for share in (0.3, 0.6, 0.95):
        with cutting(node.port, int(share * len(encoded(films(1)[0])))) as port:
            assert send(port, films(1, "1.2.70")) == [None]
    until(lambda: not list((node.spool / "arriving").iterdir()))
    assert node.counts() == before
    assert node.send(films(1, "1.2.70")) == [0]
    node.until_done(before["done"] + 1)


def test_what_a_header_announces_takes_no_memory(node: Node) -> None:
    echo(node.port)
    before = resident(node.process.pid)
    for kind in (1, 4):
        with associated(node.port) if kind == 4 else socket.create_connection(("127.0.0.1", node.port)) as connection:
            flood(connection, struct.pack(">BBL", kind, 0, GIGABYTES), 256)
    with associated(node.port) as connection:  # a command that never ends, in PDUs of an honest size
        piece = struct.pack(">BBL", 4, 0, 16390) + struct.pack(">LBB", 16386, 1, 1) + bytes(16384)
        flood(connection, piece[:6], 1, piece[6:] + piece * 15)
        flood(connection, b"", 256, piece * 16)
    assert resident(node.process.pid) - before < 64 * 2**20
    until(lambda: echo(node.port) == 0)


@pytest.mark.soak
def test_connections_that_only_open_are_bounded_and_those_beyond_are_told_to_come_again(
    node: Node,
) -> None:
    threads = len(list(Path(f"/proc/{node.process.pid}/task").iterdir()))
    for _ in range(200 if SOAK else 1):
        opened = [socket.create_connection(("127.0.0.1", node.port)) for _ in range(50)]
        try:
            threading.Event().wait(0.3)
            assert len(list(Path(f"/proc/{node.process.pid}/task").iterdir())) - threads < 40
        finally:
            for connection in opened:
                connection.close()
    done = node.counts()["done"]
    waiting = films(6, "1.2.80")

    def until_stored(one: Dataset) -> None:
        until(lambda: node.send([one]) == [0])

    senders = [in_background(until_stored, one) for one in waiting]
    for sender in senders:
        sender.join()
    node.until_done(done + len(waiting))


def test_no_log_no_status_and_no_file_holds_who_it_is(node: Node) -> None:
    planted = {"PatientName": NAME, "PatientID": "planted-id", "AccessionNumber": "planted-number"}
    (damaged,) = films(1, "1.2.987654", **planted)
    damaged.PixelData = b"12"
    done = node.counts()["done"]
    node.send([damaged, *films(1, "1.2.98765", **planted)])
    until(node.dead)
    node.until_done(done + 1)
    printed = node.printed + run("node", "status", node.settings).stdout + " ".join(node.left())
    names = " ".join(str(path) for path in node.folder.rglob("*"))
    for secret in ("lanted", "1.2.98765"):
        assert secret not in printed + names
    run("node", "drop", node.settings, str(newest(node)))


def test_rules_choose_films_and_a_shadow_sends_nothing(node: Node, target: Archive) -> None:
    stored, passed = len(target.stored), node.printed.count("no rule takes it")
    hand = films(1, "1.2.9", BodyPartExamined="HAND", Modality="MG")
    assert node.send([*films(1, "1.2.8", BodyPartExamined="CHEST"), *hand], "SHADOW") == [0, 0]
    assert node.send(films(1, "1.2.10", PresentationIntentType="FOR PROCESSING")) == [0]
    until(lambda: node.counts()["shadow"] == 1)
    kinds = [name.partition(".")[2] for name in node.left()]
    assert kinds == ["dcm", "json", "sr.dcm"]
    assert node.printed.count("no rule takes it") - passed == 2
    assert len(target.stored) == stored


def test_a_complete_study_has_one_report_of_all_its_films_and_another_when_one_comes_late(
    node: Node, target: Archive
) -> None:
    done, stored = node.counts()["done"], len(target.stored)
    raw, damaged, first, second, late = films(5, "1.2.13")
    raw.PresentationIntentType = "FOR PROCESSING"
    damaged.PixelData = damaged.PixelData[:100]
    assert node.send([raw, damaged, first, second], "STUDY") == [0, 0, 0, 0]
    node.until_done(done + 3)
    assert node.printed.count("its study has films for presentation") == 1
    number = str(newest(node))
    assert node.send([late], "STUDY") == [0]
    node.until_done(done + 4)
    arrived = target.stored[stored:]
    assert sorted(result.Modality for result in arrived) == ["PR", "PR", "PR", "SR", "SR"]
    reports = [result for result in arrived if result.Modality == "SR"]
    expected = [one.SOPInstanceUID for one in (first, second, damaged, late)]
    assert [named_in(report) for report in reports] == [set(expected[:3]), set(expected)]
    assert reports[1].PredecessorDocumentsSequence[0].ReferencedSeriesSequence[0].ReferencedSOPSequence[
        0
    ].ReferencedSOPInstanceUID == (reports[0].SOPInstanceUID)
    run("node", "drop", node.settings, number)


def test_results_go_back_to_whoever_sent_the_film(node: Node) -> None:
    done = node.counts()["done"]
    node.send(films(1, "1.2.11"), "ARCHIVE")
    node.until_done(done + 1)
    node.send(films(1, "1.2.12"), "STRANGER")
    until(node.dead)
    assert "none of the targets" in node.dead()[0]
    run("node", "drop", node.settings, str(newest(node)))


def test_over_tls_only_callers_with_a_certificate_come_in(bundle: Path, tmp_path: Path) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("openssl, which makes the certificates, is not installed")
    cert, key = certificate(tmp_path)
    tls = f"[tls]\ncert = '{cert}'\nkey = '{key}'\ncallers = '{cert}'"
    with archive() as target, running(Node(tmp_path, bundle, target.port, tls)) as node:
        context = ssl.create_default_context(cafile=cert)
        with socket.create_connection(("127.0.0.1", node.port)):  # never greets, and keeps nobody out
            assert echo(node.port) is None
            assert echo(node.port, tls_args=(context, "127.0.0.1")) is None
            context.load_cert_chain(cert, key)
            assert echo(node.port, tls_args=(context, "127.0.0.1")) == 0
            assert send(node.port, films(1), tls_args=(context, "127.0.0.1")) == [0]
            if (echoscu := shutil.which("echoscu")) is not None:  # dcmtk's, an independent client
                tls_of_dcmtk = ["+tls", str(key), str(cert), "+cf", str(cert)]
                called = ["-aec", "HILUM", "127.0.0.1", str(node.port)]
                subprocess.run([echoscu, *tls_of_dcmtk, *called], check=True, capture_output=True)
        node.until_done(1)


@pytest.mark.parametrize(
    ("changed", "words"),
    {
        "prot = 1": "did you mean port",
        "title = 'far too long for a title'": "1 to 16 plain characters",
        "associations = 0": "associations = 0: must be",
        "host = '0.0.0.0'": "--insecure",
        "port = 'x'": "port = 'x': must be a whole number",
        "[[target]]\nname = 'archive'\ntitle = 'A'\nhost = 'localhost'\nport = 1": "is there twice",
        "[[target]]\nname = 'far'\ntitle = 'A'\nhost = 'pacs'\nport = 1": "--insecure",
        "[[target]]\nname = 'far'\nurl = 'http://pacs/dicom-web'": "https",
        "[[target]]\nname = 'far'\nurl = 'https://me:secret@pacs/'": "credentials_file",
        "[[target]]\nname = 'far'\nhost = 'localhost'": "or a url",
        "[[catch_up]]\ntitle = 'A'": "orthanc, its REST API",
        "[[catch_up]]\ntitle = 'A'\ndicomweb = 'http://localhost/'\ndays = 30": "keep_days",
        "[alert]": "mail_to",
        "[alert]\nmail_to = ['it@hospital']\nmail_from = 'x'": "no address",
        "[[rule]]\nto = ['arhive']": "did you mean archive",
        "[[rule]]\nto = ['archive']\nmodel = 'none.onnx'": "none.onnx",
        "[[rule]]\nto = ['archive']\noperating_point = 'none'": "no operating point",
        "[[rule]]\nresults = ['sr']": "shadow = true",
        "[[rule]]\nto = ['archive']\nname = '7'": "begins with a letter",
        "[[rule]]\nto = ['archive']\nresults = ['sc']\nstudy_seconds = 5": "add 'sr'",
        "[[rule]]\nto = ['archive']\nquiet_hours = ['7-9']": "'22:00-06:30'",
        "[[rule]]\nto = ['archive']\nresults = ['srr']": "srr",
        "[tls]\ncert = 'none.pem'\nkey = 'none.pem'": "none.pem",
        "= 1": "Invalid",
    }.items(),
)
def test_settings_that_cannot_work_are_one_line(bundle: Path, tmp_path: Path, changed: str, words: str) -> None:
    node = Node(tmp_path, bundle, 1)
    kept = node.settings.read_text()
    names = {line.partition(" =")[0] for line in changed.splitlines() if not changed.startswith("[")}
    head, table, tables = kept.partition("[[target]]")
    lines = [line for line in head.splitlines() if line.partition(" =")[0] not in names]
    above, below = ("", changed) if changed.startswith("[") else (changed, "")
    text = "\n".join([above, *lines, table + tables, below])
    node.settings.write_text(text)
    answer = run("node", node.settings)
    assert answer.returncode == 1, answer.stderr
    (line,) = answer.stderr.splitlines()
    assert words in line


def test_a_rule_is_refused_whose_bundle_cannot_give_its_results(tmp_path: Path) -> None:
    rule = f"[[rule]]\nshadow = true\nmodel = '{tiny_detection_bundle(tmp_path)}'\nresults = ['sr', 'pm']"
    (tmp_path / "NODE.toml").write_text(f"spool = 'spool'\n{rule}\n")
    answer = run("node", tmp_path / "NODE.toml")
    assert answer.returncode == 1 and "has no heatmaps; leave pm out of the rule's results" in answer.stderr


def test_two_nodes_do_not_share_a_spool(node: Node) -> None:
    answer = run("node", "run", node.settings)
    assert answer.returncode == 1
    assert "another hilum keeps it" in answer.stderr
    with pytest.raises(NodeError):
        load_settings(node.folder)


def certificate(folder: Path) -> tuple[Path, Path]:
    cert, key = folder / "cert.pem", folder / "key.pem"
    make = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]
    name = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run([*make, "-keyout", key, "-out", cert, *name], check=True, capture_output=True)
    return cert, key


def named_in(report: Dataset) -> set[str]:
    """The films that a report refers to."""
    series = report.CurrentRequestedProcedureEvidenceSequence[0].ReferencedSeriesSequence
    return {str(one.ReferencedSOPInstanceUID) for each in series for one in each.ReferencedSOPSequence}


def files_of(node: Node) -> list[str]:
    return sorted(str(path) for path in node.folder.parent.rglob("*") if ".sqlite" not in path.name)


def newest(node: Node) -> int:
    with Queue(node.spool) as queue:
        return queue.dead_letters()[-1].number


def results_of(bundle: Path, one: Dataset, folder: Path) -> list[str]:
    """The identifiers of what `hilum predict --dicom` makes of a film."""
    (folder / "film.dcm").write_bytes(encoded(one))
    assert main([str(folder / "film.dcm"), "--model", str(bundle), "--dicom", str(folder), "--as", ",".join(ALL)]) == 0
    made = [dcmread(path) for path in folder.glob("film.dcm.*.dcm")]
    return [str(result.SOPInstanceUID) for result in made]


@contextmanager
def associated(port: int) -> Iterator[socket.socket]:
    """The socket of an association that films could be sent in."""
    entity = AE("SENDER")
    entity.add_requested_context(CR)
    association = entity.associate("127.0.0.1", port, ae_title="HILUM")
    assert association.is_established
    held: Any = association.dul.socket
    try:
        yield held.socket
    finally:
        association.abort()


def flood(connection: socket.socket, head: bytes, most: int, piece: bytes = bytes(2**20)) -> None:
    """Send a head and then pieces, until nobody takes them any more."""
    sent = 0
    try:
        connection.sendall(head)
        while sent < most:
            connection.sendall(piece)
            sent += 1
    except OSError:
        return
    assert most == 1


@contextmanager
def cutting(port: int, after: int) -> Iterator[int]:
    """A way to a port that breaks off when so many bytes have passed."""
    with socket.create_server(("127.0.0.1", 0)) as door:

        def pass_on() -> None:
            caller, _ = door.accept()
            with caller, socket.create_connection(("127.0.0.1", port)) as node:
                back = in_background(copied, node, caller, 2**30)
                copied(caller, node, after)
                for end in (node, caller):
                    with suppress(OSError):
                        end.shutdown(socket.SHUT_RDWR)
                back.join()

        thread = in_background(pass_on)
        yield int(door.getsockname()[1])
        thread.join()


def copied(source: socket.socket, target: socket.socket, most: int) -> None:
    with suppress(OSError):
        while most > 0 and (piece := source.recv(min(most, 4096))):
            target.sendall(piece)
            most -= len(piece)
