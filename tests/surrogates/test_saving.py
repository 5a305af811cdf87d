import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from infra.errors import ChecksumError, RomflowError, StoreError, UserError
from infra.field_space import FieldSpace
from surrogates.architectures import build_surrogate
from surrogates.batch import Batch
from surrogates.card import read_card
from surrogates.inputs import InputSpec
from surrogates.saving import load_model, save_model
from surrogates.surrogate import Surrogate


@pytest.fixture
def surrogate(square_space: Callable[..., FieldSpace], inputs: InputSpec) -> Surrogate:
    space = square_space(4, prescribed=True)
    known = replace(inputs, output_times=(0.0, 0.1, 2.0))
    surrogate = build_surrogate("mlp", space, known, "direct", {"hidden": [8]}, seed=0)
    surrogate.observe(Batch.of(torch.rand(4, 3), torch.rand(4, 50)))
    return surrogate


@pytest.fixture
def folder(surrogate: Surrogate, tmp_path: Path) -> Path:
    lineage = {"dataset": "abc", "packages": {"torch": "2"}}
    save_model(surrogate, tmp_path / "model", metrics={"loss": 0.5}, lineage=lineage)
    return tmp_path / "model"


def test_the_card_says_what_the_surrogate_is(folder: Path, surrogate: Surrogate) -> None:
    card = read_card(folder)
    assert (card.architecture, card.mode) == ("mlp", "direct")
    assert card.settings == {"hidden": [8], "activation": "relu"}
    assert card.inputs == surrogate.inputs
    assert card.metrics == {"loss": 0.5}
    assert card.lineage == {"dataset": "abc", "packages": {"torch": "2"}}
    assert card.n_parameters == 3 * 8 + 8 + 8 * 50 + 50
    text = json.loads((folder / "card.json").read_text())
    assert text["space"]["fields"][0]["units"] == "K"
    assert set(text["checksums"]) == {"weights.safetensors", "space.safetensors"}


def test_space_and_statistics_come_back(folder: Path, surrogate: Surrogate) -> None:
    loaded = load_model(folder)
    assert loaded.space.fields == surrogate.space.fields
    for name in ("points", "cells"):
        expected = getattr(surrogate.space, name)["vertex"]
        np.testing.assert_array_equal(getattr(loaded.space, name)["vertex"], expected)
    for entry, expected in zip(loaded.space.prescribed, surrogate.space.prescribed, strict=True):
        np.testing.assert_array_equal(entry.nodes, expected.nodes)
        assert (entry.parameter, entry.value) == (expected.parameter, expected.value)
    assert torch.equal(loaded.normalisation.mean, surrogate.normalisation.mean)


def test_saving_again_replaces_the_surrogate_and_leaves_nothing_beside(
    folder: Path, surrogate: Surrogate
) -> None:
    save_model(surrogate, folder, metrics={"loss": 0.25})
    assert read_card(folder).metrics == {"loss": 0.25}
    load_model(folder)
    assert list(folder.parent.iterdir()) == [folder]


def test_another_folder_is_never_replaced(surrogate: Surrogate, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("ten years of work")
    with pytest.raises(UserError, match="holds something else"):
        save_model(surrogate, tmp_path)
    assert (tmp_path / "thesis.txt").exists()


def test_numbers_that_json_lacks_are_readable(surrogate: Surrogate, tmp_path: Path) -> None:
    metrics = {"loss": float("nan"), "best": float("inf")}
    save_model(surrogate, tmp_path / "model", metrics=metrics)
    assert set(read_card(tmp_path / "model").metrics) == {"loss", "best"}
    json.loads((tmp_path / "model" / "card.json").read_text(), parse_constant=pytest.fail)


@pytest.mark.parametrize("name", ["weights.safetensors", "space.safetensors"])
def test_a_damaged_file_is_named(folder: Path, name: str) -> None:
    data = bytearray((folder / name).read_bytes())
    data[-3] ^= 1
    (folder / name).write_bytes(data)
    with pytest.raises(ChecksumError, match=name):
        load_model(folder)


@pytest.mark.parametrize("name", ["weights.safetensors", "space.safetensors"])
def test_a_missing_file_is_named(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(StoreError, match=name):
        load_model(folder)


def test_a_folder_without_a_card_is_no_surrogate(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no card\.json"):
        load_model(tmp_path)
    with pytest.raises(UserError, match=r"no card\.json"):
        load_model(tmp_path / "absent")


@pytest.mark.parametrize("text", ["", "{", "[]", '{"version": 1}', '{"version": "new"}', "\0"])
def test_a_damaged_card_is_named(folder: Path, text: str) -> None:
    (folder / "card.json").write_text(text)
    with pytest.raises(StoreError, match="readable card"):
        load_model(folder)


def test_a_newer_version_asks_for_a_newer_program(folder: Path) -> None:
    _edit(folder, version=2, unheard_of=True)
    with pytest.raises(StoreError, match="newer romflow"):
        load_model(folder)


def test_an_unknown_architecture_is_named(folder: Path) -> None:
    _edit(folder, architecture="kriging")
    with pytest.raises(UserError, match="kriging"):
        load_model(folder)


@pytest.mark.parametrize("change", [{"settings": {"hidden": [9]}}, {"architecture": "deeponet"}])
def test_weights_of_another_network_do_not_load(folder: Path, change: dict[str, object]) -> None:
    _edit(folder, **change)
    with pytest.raises(RomflowError):
        load_model(folder)


def test_weights_of_another_network_say_that_they_do_not_fit(folder: Path) -> None:
    _edit(folder, settings={"hidden": [9]})
    with pytest.raises(StoreError, match="do not fit"):
        load_model(folder)


def test_loading_never_unpickles(folder: Path, surrogate: Surrogate) -> None:
    shutil.copy(folder / "card.json", folder / "kept.json")
    torch.save(surrogate.state_dict(), folder / "weights.safetensors")
    checksums = read_card(folder).checksums
    _edit(folder, checksums={"space.safetensors": checksums["space.safetensors"]})
    with pytest.raises(StoreError, match="do not fit"):
        load_model(folder)


def _edit(folder: Path, **changes: object) -> None:
    card = json.loads((folder / "card.json").read_text())
    (folder / "card.json").write_text(json.dumps(card | changes))
