"""Model cards and datasheets with the metadata that hubs read, read back by their own library."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml
from bundles import tiny_bundle, tiny_card, tiny_detection_bundle
from commands import run
from huggingface_hub import DatasetCard, ModelCard
from hypothesis import given
from hypothesis import strategies as st
from judged import write_data_set

from hilum.dataset.datasheet import SECTIONS
from hilum.dataset.manifest.manifest import Manifest, load_manifest, save_manifest
from hilum.system.front_matter import front_matter

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
scalars = texts | st.integers(-(10**9), 10**9) | st.floats(allow_nan=False, allow_infinity=False)
keys = st.text("abcdefgh_", min_size=1, max_size=8).filter(lambda key: key not in ("e", "f"))
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner.filter(lambda value: not isinstance(value, list)), min_size=1, max_size=3)
        | st.dictionaries(keys, inner, min_size=1, max_size=3)
    ),
    max_leaves=12,
)


@given(st.dictionaries(keys, values, min_size=1, max_size=4))
def test_a_block_is_read_back_as_it_was_given(given_to: dict[str, Any]) -> None:
    block = front_matter(given_to)
    lines = block.splitlines()
    assert (lines[0], lines[-1]) == ("---", "---")
    assert yaml.safe_load("\n".join(lines[1:-1])) == given_to


def test_a_hub_reads_the_model_card(tmp_path: Path) -> None:
    figures = {"validation": {"auc": 0.91234, "accuracy": 0.8, "films": 100.0}}
    answer = run("show", tiny_bundle(tmp_path, figures=figures), "--md")
    assert answer.returncode == 0
    card = ModelCard(answer.stdout)
    assert card.text.lstrip().startswith("# A network made by hand")
    data: Any = card.data
    assert (data.library_name, data.pipeline_tag) == ("hilum", "image-classification")
    assert data.license == "other" and data.model_name == "tiny"
    results = {(each.metric_type, each.metric_value) for each in data.eval_results or []}
    assert results == {("roc_auc", 0.9123), ("accuracy", 0.8), ("recall", 0.9), ("specificity", 0.8)}
    assert {each.dataset_name for each in data.eval_results or []} == {"validation films: made up"}


def test_a_hub_reads_the_card_of_a_detector_and_of_a_model_that_was_never_measured(tmp_path: Path) -> None:
    data: Any = ModelCard(run("show", tiny_detection_bundle(tmp_path), "--md").stdout).data
    assert data.pipeline_tag == "object-detection"
    assert ("rsna_score", 0.2) in {(each.metric_type, each.metric_value) for each in data.eval_results or []}
    bare = tiny_card()
    nothing = tiny_bundle(tmp_path, figures={}, data=replace(bare.data, source=""), title='A "quoted": title\n---')
    unmeasured: Any = ModelCard(run("show", nothing, "--md").stdout).data
    # What an operating point was on validation every card says.
    assert {each.metric_type for each in unmeasured.eval_results} == {"recall", "specificity"}


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_data_set(tmp_path_factory.mktemp("my-films"))


def test_a_datasheet_counts_what_the_manifest_holds(manifest: Path, tmp_path: Path) -> None:
    answer = run("data", "card", manifest, "-o", tmp_path / "README.md")
    assert (answer.returncode, answer.stderr) == (0, f"datasheet written to {tmp_path / 'README.md'}\n")
    sheet = DatasetCard((tmp_path / "README.md").read_text(encoding="utf-8"))
    data: Any = sheet.data
    assert data.size_categories == ["n<1K"]
    assert data.task_categories == ["image-classification", "object-detection"]
    assert [line[3:] for line in sheet.text.splitlines() if line.startswith("## ")] == list(SECTIONS)
    table = load_manifest(manifest).table
    for words in (
        f"48 films of {table['patient'].n_unique()} patients.",
        "By patient: 24 patients have several films.",
        "test 24, train 24",
        "Boxes are known of 24 films: 24 in all.",
        "PA 32, AP 16",
    ):
        assert words in sheet.text
    assert "| test | 24 |" in sheet.text
    assert "secret-" not in sheet.text


def test_a_datasheet_leaves_open_what_no_manifest_holds_and_takes_no_text_for_markup(
    manifest: Path, tmp_path: Path
) -> None:
    given_to = load_manifest(manifest)
    odd = given_to.table.with_columns(label=pl.lit("*a|b* <i>"), view=pl.lit(None, pl.String), boxes=None)
    save_manifest(Manifest(odd, given_to.folder), manifest.parent / "odd.parquet")
    answer = run("data", "card", manifest.parent / "odd.parquet")
    assert answer.returncode == 0
    assert "\\*a\\|b\\* \\<i\\>" in answer.stdout and "*a|b*" not in answer.stdout
    for hint in ("why the films were brought together", "the committee, its decision"):
        assert f"*Yours to write: {hint}" in answer.stdout
    assert "object-detection" not in answer.stdout
    missing = run("data", "card", tmp_path / "none.parquet")
    assert (missing.returncode, missing.stderr.count("\n")) == (1, 1)
