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
from conftest import LONGER
from hypothesis import given, settings
from hypothesis import strategies as st
from mutation import damaged
from onnx import TensorProto, helper, numpy_helper

from hilum.bundle.card import FORMAT, BundleError
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
    content = write_metadata(tiny_model(tiny_card()).SerializeToString(), tiny_card(format=FORMAT + 1))
    path = tmp_path / "newer.onnx"
    path.write_bytes(content)
    with pytest.raises(BundleError, match=rf"newer\.onnx: .*format {FORMAT + 1}.*update hilum"):
        read_card(path)


def outside(model: onnx.ModelProto) -> None:
    tensor = next(part for part in model.graph.initializer if part.name == "weights")
    onnx.external_data_helper.set_external_data(tensor, "weights.bin")


def outside_in_a_constant(model: onnx.ModelProto) -> None:
    tensor = numpy_helper.from_array(np.zeros(4, np.float32), "away")
    tensor.external_data.add(key="location", value="/etc/passwd")
    model.graph.node.append(helper.make_node("Constant", [], ["constant"], value=tensor))


def custom(model: onnx.ModelProto) -> None:
    model.graph.node.append(helper.make_node("FusedConv", ["grey"], ["fused"], domain="com.microsoft"))


def sparse(model: onnx.ModelProto) -> None:
    values, indices = (numpy_helper.from_array(np.ones(1, kind), str(kind)) for kind in (np.float32, np.int64))
    model.graph.sparse_initializer.append(helper.make_sparse_tensor(values, indices, [2**20, 2**20]))


def sparse_in_a_constant(model: onnx.ModelProto) -> None:
    sparse(model)
    node = helper.make_node("Constant", [], ["constant"], sparse_value=model.graph.sparse_initializer.pop())
    model.graph.node.append(node)


def loop_without_end(model: onnx.ModelProto) -> None:
    body = helper.make_graph([], "body", [], [])
    model.graph.node.append(helper.make_node("Loop", ["one", ""], [], body=body))


def graph_in_a_layer(model: onnx.ModelProto) -> None:
    model.graph.node[0].attribute.append(helper.make_attribute("body", helper.make_graph([], "body", [], [])))


def large_claims(model: onnx.ModelProto) -> None:
    next(part for part in model.graph.initializer if part.name == "weights").dims[:] = [2**40, 2, 1, 1]


def claims_below_zero(model: onnx.ModelProto) -> None:
    next(part for part in model.graph.initializer if part.name == "weights").dims[:] = [-2, -2]


def many_nodes(model: onnx.ModelProto) -> None:
    model.graph.node.extend([helper.make_node("Relu", ["one"], [str(number)]) for number in range(10_001)])


def functions(model: onnx.ModelProto) -> None:
    opset = [helper.make_opsetid("", 17)]
    model.functions.append(helper.make_function("mine", "f", ["x"], ["x"], [], opset))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (outside, "another file"),
        (outside_in_a_constant, "another file"),
        (custom, r"custom operator com\.microsoft\.FusedConv"),
        (functions, "ONNX functions"),
        (sparse, "sparse weights"),
        (sparse_in_a_constant, "sparse weights within a node"),
        (loop_without_end, "uses the operator Loop"),
        (graph_in_a_layer, "holds a graph"),
        (large_claims, "claims more numbers than it holds"),
        (claims_below_zero, "claims more numbers than it holds"),
        (many_nodes, "over 10,000 nodes"),
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


def test_tensors_of_every_kind_and_shape_hold_what_they_claim() -> None:
    model = tiny_model(tiny_card())
    kinds = ("float32", "float64", "int8", "uint8", "int32", "int64", "float16", "bool")
    for number, shape in enumerate([(), (0,), (3, 0), (7,), (2, 3, 4)]):
        for kind in kinds:
            array = np.ones(shape, kind)
            raw = numpy_helper.from_array(array, f"raw {kind} {number}")
            listed = helper.make_tensor(f"listed {kind} {number}", raw.data_type, shape, array.ravel().tolist())
            model.graph.initializer.extend([raw, listed])
    narrow = helper.make_tensor("narrow", TensorProto.UINT4, [6], [1] * 6)
    text = TensorProto(name="text", data_type=TensorProto.STRING, dims=[2], string_data=[b"", b"a"])
    model.graph.initializer.extend([narrow, text])
    assert "hilum" in check_model(with_card(model), "fine.onnx")


def test_metadata_stated_twice_are_refused() -> None:
    model = tiny_model(tiny_card())
    model.metadata_props.add(key="producer", value="one")
    model.metadata_props.add(key="producer", value="two")
    with pytest.raises(BundleError, match="stated twice"):
        check_model(with_card(model), "twice.onnx")


@pytest.mark.soak
@settings(max_examples=300 * LONGER, deadline=None)
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


@pytest.mark.soak
@settings(max_examples=300 * LONGER, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_are_refused(content: bytes) -> None:
    for start in (b"", b"\x08\x08"):
        with pytest.raises(BundleError):
            check_model(start + content, "noise")


@pytest.mark.soak
@settings(max_examples=200 * LONGER, deadline=None)
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
