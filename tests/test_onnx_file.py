"""Reading ONNX without the onnx package: what a bundle is, what is refused, and that damage is only ever refused."""

from __future__ import annotations

import hashlib
import tracemalloc
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import onnx
import pytest
from bundles import tiny_bundle, tiny_card, tiny_model
from hypothesis import given, settings
from hypothesis import strategies as st
from mutation import damaged
from onnx import TensorProto, helper, numpy_helper

from hilum.bundle.card import BundleError
from hilum.bundle.onnx_file import check_model, read_card, read_model, write_metadata


@cache
def tiny_bytes() -> bytes:
    card = tiny_card()
    return write_metadata(tiny_model(card).SerializeToString(), card)


def with_card(model: onnx.ModelProto) -> bytes:
    return write_metadata(model.SerializeToString(), tiny_card())


def test_metadata_reads_as_the_onnx_package_reads_it(tmp_path: Path) -> None:
    path = tiny_bundle(tmp_path)
    reference = {entry.key: entry.value for entry in onnx.load(path).metadata_props}
    assert read_model(path) == reference
    assert set(reference) == {"hilum", "hilum.digest"}
    assert read_card(path) == tiny_card()
    onnx.checker.check_model(onnx.load(path), full_check=True)


def test_the_digest_is_over_the_file_without_its_own_entry() -> None:
    model = onnx.load_from_string(tiny_bytes())
    stated = model.metadata_props.pop()
    assert stated.key == "hilum.digest"
    assert stated.value == hashlib.blake2b(model.SerializeToString(), digest_size=16).hexdigest()


def test_writing_again_replaces_the_card_and_keeps_other_metadata() -> None:
    model = tiny_model(tiny_card())
    model.metadata_props.add(key="producer", value="by hand")
    once = with_card(model)
    renamed = tiny_card(name="renamed")
    twice = write_metadata(once, renamed)
    assert write_metadata(twice, tiny_card()) == once
    metadata = check_model(twice, "twice")
    assert metadata["producer"] == "by hand"
    assert '"renamed"' in metadata["hilum"]


def test_every_changed_byte_is_noticed() -> None:
    content = tiny_bytes()
    for place in range(0, len(content), 13):
        changed = bytearray(content)
        changed[place] ^= 0x10
        with pytest.raises(BundleError):
            check_model(bytes(changed), "changed")


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9, 0.999])
def test_a_file_that_was_cut_short_is_refused(share: float) -> None:
    content = tiny_bytes()
    with pytest.raises(BundleError, match="get the file again"):
        check_model(content[: int(len(content) * share)], "short")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "empty"),
        (b"PK\3\4 weights.pth", "a PyTorch checkpoint or archive"),
        (b"\xff\xd8\xff\xe0 a film", "not an ONNX file"),
        (b"just text", "not an ONNX file"),
        (b"\x08\x07", "damaged or incomplete"),
    ],
)
def test_other_files_are_named_for_what_they_are(content: bytes, message: str) -> None:
    with pytest.raises(BundleError, match=rf"^what\.onnx: .*{message}"):
        check_model(content, "what.onnx")


def test_a_foreign_onnx_file_says_how_to_make_a_bundle() -> None:
    with pytest.raises(BundleError, match=r"no hilum bundle .*hilum export RUN"):
        check_model(tiny_model(tiny_card()).SerializeToString(), "foreign.onnx")


def test_a_newer_format_says_to_update(tmp_path: Path) -> None:
    content = write_metadata(tiny_model(tiny_card()).SerializeToString(), tiny_card(format=2))
    path = tmp_path / "newer.onnx"
    path.write_bytes(content)
    with pytest.raises(BundleError, match=r"newer\.onnx: .*format 2.*update hilum"):
        read_card(path)


def outside(model: onnx.ModelProto) -> None:
    tensor = next(part for part in model.graph.initializer if part.name == "weights")
    onnx.external_data_helper.set_external_data(tensor, "weights.bin")


def outside_in_a_subgraph(model: onnx.ModelProto) -> None:
    tensor = numpy_helper.from_array(np.zeros(4, np.float32), "away")
    tensor.data_location = TensorProto.EXTERNAL
    out = helper.make_tensor_value_info("away", TensorProto.FLOAT, [4])
    branch = helper.make_graph([], "branch", [], [out], [tensor])
    model.graph.node.append(helper.make_node("If", ["one"], ["either"], then_branch=branch, else_branch=branch))


def outside_in_a_constant(model: onnx.ModelProto) -> None:
    tensor = numpy_helper.from_array(np.zeros(4, np.float32), "away")
    tensor.external_data.add(key="location", value="/etc/passwd")
    model.graph.node.append(helper.make_node("Constant", [], ["constant"], value=tensor))


def custom(model: onnx.ModelProto) -> None:
    model.graph.node.append(helper.make_node("FusedConv", ["grey"], ["fused"], domain="com.microsoft"))


def custom_in_a_subgraph(model: onnx.ModelProto) -> None:
    out = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1])
    branch = helper.make_graph([helper.make_node("Run", [], ["x"], domain="my.own")], "branch", [], [out])
    model.graph.node.append(helper.make_node("If", ["one"], ["either"], then_branch=branch, else_branch=branch))


def functions(model: onnx.ModelProto) -> None:
    opset = [helper.make_opsetid("", 17)]
    model.functions.append(helper.make_function("mine", "f", ["x"], ["x"], [], opset))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (outside, "another file"),
        (outside_in_a_subgraph, "another file"),
        (outside_in_a_constant, "another file"),
        (custom, r"custom operator com\.microsoft\.FusedConv"),
        (custom_in_a_subgraph, r"custom operator my\.own\.Run"),
        (functions, "ONNX functions"),
    ],
)
def test_what_no_bundle_has_is_refused(change: Callable[[onnx.ModelProto], None], message: str) -> None:
    model = tiny_model(tiny_card())
    change(model)
    with pytest.raises(BundleError, match=message):
        check_model(with_card(model), "odd.onnx")


def test_the_default_domain_may_be_spelled_out() -> None:
    model = tiny_model(tiny_card())
    model.graph.node[0].domain = "ai.onnx"
    assert "hilum" in check_model(with_card(model), "fine.onnx")


def test_graphs_nested_without_end_are_refused() -> None:
    graph = helper.make_graph([], "inner", [], [])
    for _ in range(20):
        graph = helper.make_graph([helper.make_node("Loop", [], [], body=graph)], "outer", [], [])
    model = tiny_model(tiny_card())
    model.graph.node.append(helper.make_node("Loop", [], [], body=graph))
    with pytest.raises(BundleError, match="damaged"):
        check_model(with_card(model), "deep.onnx")


def test_metadata_stated_twice_are_refused() -> None:
    model = tiny_model(tiny_card())
    model.metadata_props.add(key="producer", value="one")
    model.metadata_props.add(key="producer", value="two")
    with pytest.raises(BundleError, match="stated twice"):
        check_model(with_card(model), "twice.onnx")


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_damage_is_refused_and_allocates_little(data: st.DataObject) -> None:
    content = bytes(data.draw(damaged([tiny_bytes()])))
    tracemalloc.start()
    try:
        check_model(content, "damaged")
    except BundleError as error:
        assert "\n" not in str(error)
    else:  # an accident may leave the bytes as they were
        assert content == tiny_bytes()
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < 3_000_000


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_are_refused(content: bytes) -> None:
    for start in (b"", b"\x08\x08"):
        with pytest.raises(BundleError):
            check_model(start + content, "noise")


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_damage_under_a_digest_that_was_made_anew_is_refused_or_harmless(data: st.DataObject) -> None:
    """Whoever makes a file on purpose can make its digest, so the walk must hold without it."""
    model = bytes(data.draw(damaged([tiny_model(tiny_card()).SerializeToString()])))
    try:
        content = write_metadata(model, tiny_card())
    except BundleError:
        return
    try:
        check_model(content, "forged")
    except BundleError as error:
        assert "\n" not in str(error)
