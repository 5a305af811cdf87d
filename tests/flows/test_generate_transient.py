"""Linear problems in time from study to card: the same bits on every way, what is refused."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from PIL import Image

from flows.design import design
from flows.publish import Summary, publish
from flows.show import show_dataset
from flows.study import Study, load_study, with_settings
from infra.catalog import Catalog
from infra.errors import UserError
from infra.zarr_store import ZarrStore, open_store

type Compute = Callable[[Study], ZarrStore]

HEAT: dict[str, Any] = {
    "description": "Tiny plates.",
    "problem": {"name": "heat", "settings": {"cells": 6}},
    "parameters": {},
    "sampling": {"method": "sobol", "samples": 3, "seed": 3},
    "time": {"end": 0.1, "frames": 6, "step": 0.01},
    "linear": {"method": "direct"},
    "run": {"ranks": 1, "chunk_size": 3, "workers": 1, "retries": 0},
}


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory, computed: Compute) -> Summary:
    """Give a dataset that several tests look at."""
    root = tmp_path_factory.mktemp("transient")
    places = {"name": "tiny", "output": root / "out", "catalog": root / "catalog"}
    study = Study.model_validate(HEAT | places)
    computed(study)
    return publish(study, [])


@pytest.mark.mpi
def test_a_dataset_has_a_card_a_figure_and_an_example_that_runs(published: Summary) -> None:
    entry = Path(published.entry)
    assert published.complaint == ""
    assert Catalog(entry.parent).check("tiny") == []
    with Image.open(published.figure) as picture:
        assert min(picture.size) > 200
    card = (entry / "README.md").read_text()
    assert "Taylor-Hood" not in card
    assert "Crank-Nicolson" in card
    assert "6 frames from t = 0 s to 0.1 s, with a fixed step of at most 0.01 s." in card
    assert "`vertex_part`" in card
    (example,) = re.findall("```python\n(.*?)```", card, re.DOTALL)
    names: dict[str, Any] = {}
    exec(example, names)  # the example is ours, and has to be right
    data = names["complete"]
    assert data.temperature.dims == ("sample", "time", "vertex")
    assert data.temperature.shape == (3, 6, 49)
    assert data.temperature.attrs["prescribed"]["left"] == "temperature_left"
    assert data.vertex_part.attrs["flag_meanings"] == "none left right bottom top"
    held = data.temperature.isel(vertex=data.vertex_part.values == 3)
    assert (held == data.temperature_bottom).all()


@pytest.mark.mpi
def test_a_dataset_is_shown_at_any_time_and_as_an_animation(
    published: Summary, tmp_path: Path
) -> None:
    picture, animation = tmp_path / "a.png", tmp_path / "a.gif"
    assert not show_dataset(
        published.dataset, Path("none"), 1, 2, "temperature", picture, animation
    )
    assert picture.read_bytes().startswith(b"\x89PNG")
    with Image.open(animation) as film:
        assert getattr(film, "n_frames", 1) == 6


@pytest.mark.mpi
def test_frames_and_steps_are_reported(published: Summary) -> None:
    store = open_store(Path(published.dataset))
    for index in range(3):
        report = store.record(index).report
        assert (report.steps, report.frames) == (10, 6)


@pytest.mark.parametrize("name", ["heat", "advection"])
def test_a_study_survives_its_content_and_holds_what_has_an_effect(name: str) -> None:
    study = Study.model_validate({"problem": {"name": name}, "time": HEAT["time"]})
    common = {"name", "description", "problem", "parameters", "sampling"}
    assert set(study.content()) == common | {"time", "linear"}
    assert Study.model_validate(study.model_dump(mode="json")) == study
    assert study.description.endswith(".")
    assert not study.steady
    free = design(study).space.free
    assert {p.name for p in free} == set(design(study).problem.random_parameters)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"time": None}, "time: expected the output times of the problem heat, for example"),
        ({"time": {"end": 1.0, "frames": 2, "cfl": 0.5}}, "step: expected a fixed step"),
        (
            {"time": {"start": 0.0123, "end": 1.0, "frames": 8, "step": 0.1}},
            "start: expected 0, or a time that is met",
        ),
        ({"solver": {"rtol": 1e-9}}, "in the group `linear`"),
    ],
)
def test_what_does_not_suit_is_refused_by_name(
    change: dict[str, Any], text: str, tmp_path: Path
) -> None:
    file = tmp_path / "study.yaml"
    file.write_text(yaml.safe_dump(HEAT | change))
    with pytest.raises(UserError, match=re.escape(text)):
        load_study(str(file))


def test_settings_of_the_shipped_studies_can_be_changed_one_by_one() -> None:
    study = with_settings(load_study("heat-demo"), ["time.step=0.005", "linear.rtol=1e-6"])
    assert study.time is not None
    assert (study.time.step, study.linear.rtol) == (0.005, 1e-6)
