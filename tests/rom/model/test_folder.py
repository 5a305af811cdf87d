import json
import pickletools
from pathlib import Path

import numpy as np
import pytest

from infra.errors import ChecksumError, StoreError, UserError
from rom.model_folder import load_model, save_model
from rom.reduced_model import ReducedModel
from rom.registry import Registry
from rom.selection import Select

MUS = [[0.3, 2.0], [0.9, 5.0]]
ALL = (Select.fields(), Select.in_region("corner"), Select.quantities(), Select.coefficients())


@pytest.mark.parametrize("kind", ["model", "moving"])
def test_a_saved_model_answers_with_the_same_bits(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    model: ReducedModel = request.getfixturevalue(kind)
    save_model(model, tmp_path / "m")
    loaded = load_model(tmp_path / "m")
    assert loaded.card == model.card
    for select in ALL:
        old, new = (m.query(MUS, select=select) for m in (model, loaded))
        assert old.eta.tobytes() == new.eta.tobytes()
        assert old.reasons == new.reasons
        assert all(old.values[n].tobytes() == new.values[n].tobytes() for n in old.values)
    assert loaded.basis.projection_error(loaded.basis.centre[np.newaxis])[0] < 1e-6


def test_a_folder_holds_no_pickle_and_its_card_tells_the_lineage(
    model: ReducedModel, tmp_path: Path
) -> None:
    save_model(model, tmp_path / "m")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["m"]
    for path in (tmp_path / "m").iterdir():
        with pytest.raises(ValueError, match=r"."):
            list(pickletools.genops(path.read_bytes()))
    card = json.loads((tmp_path / "m" / "model.json").read_text())["card"]
    assert card["lineage"] == {"dataset": "analytic"}
    assert [p["unit"] for p in card["parameters"]] == ["m", "W", "m s-2"]
    assert card["parameters"][1]["scale"] == "log"
    assert card["trust"]["pairs"] == 24


@pytest.mark.parametrize("name", ["arrays.safetensors", "model.json", "checksums.json"])
@pytest.mark.parametrize("damage", ["flip", "cut", "remove"])
def test_a_damaged_folder_is_refused(
    model: ReducedModel, tmp_path: Path, name: str, damage: str
) -> None:
    save_model(model, tmp_path / "m")
    path = tmp_path / "m" / name
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    if damage == "remove":
        path.unlink()
    else:
        path.write_bytes(data if damage == "flip" else data[: len(data) // 2])
    with pytest.raises((ChecksumError, UserError), match="Expected"):
        load_model(tmp_path / "m")


def test_a_truncated_file_is_refused_without_checksums_too(
    model: ReducedModel, tmp_path: Path
) -> None:
    save_model(model, tmp_path / "m")
    path = tmp_path / "m" / "arrays.safetensors"
    path.write_bytes(path.read_bytes()[:-64])
    with pytest.raises(ChecksumError, match="outside the file"):
        load_model(tmp_path / "m", verify=False)


def test_a_folder_of_another_format_is_refused(model: ReducedModel, tmp_path: Path) -> None:
    save_model(model, tmp_path / "m")
    path = tmp_path / "m" / "model.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"format": 99}))
    with pytest.raises(StoreError, match=r"a model of the format 1 in .*; received 99\. Use"):
        load_model(tmp_path / "m", verify=False)


def test_a_model_is_never_written_over_another(model: ReducedModel, tmp_path: Path) -> None:
    save_model(model, tmp_path / "m")
    with pytest.raises(UserError, match="exists"):
        save_model(model, tmp_path / "m")
    assert [p.name for p in tmp_path.iterdir()] == ["m"]


def test_versions_count_up_and_the_newest_is_the_default(
    model: ReducedModel, tmp_path: Path
) -> None:
    registry = Registry(tmp_path / "models")
    assert registry.names() == ()
    assert registry.publish(model) == 1
    save_model(model, tmp_path / "m")
    assert registry.publish(tmp_path / "m") == 2
    assert registry.publish(model, "other") == 1
    assert registry.names() == ("other", "spot")
    assert registry.versions("spot") == (1, 2)
    assert registry.load("spot").version == 2
    assert registry.load("spot", 1).query([0.5, 3.0]).version == 1
    assert registry.card("spot") == model.card
    with pytest.raises(UserError, match="out of"):
        registry.load("spot", 3)


def test_versions_are_not_changed_by_later_ones(model: ReducedModel, tmp_path: Path) -> None:
    registry = Registry(tmp_path)
    registry.publish(model)
    before = {p: p.read_bytes() for p in registry.folder("spot", 1).iterdir()}
    registry.publish(model)
    assert before == {p: p.read_bytes() for p in registry.folder("spot", 1).iterdir()}


@pytest.mark.parametrize("name", ["..", "../spot", "a/b", "", "Spot", ".hidden", "a" * 65, "x\n"])
def test_names_cannot_leave_the_registry(model: ReducedModel, tmp_path: Path, name: str) -> None:
    registry = Registry(tmp_path / "models")
    with pytest.raises(UserError, match="Expected"):
        registry.versions(name)
    with pytest.raises(UserError, match="Expected a name"):
        registry.publish(model, name or "/")
