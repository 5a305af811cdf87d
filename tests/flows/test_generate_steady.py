"""Steady problems on a real server: the same bits on every way, cards, resumption, failures."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from prefect.client.orchestration import SyncPrefectClient

from flows.plan import prepare
from flows.publish import Summary, publish
from flows.show import show_dataset
from flows.study import Study
from infra.catalog import Catalog
from infra.errors import UserError
from infra.zarr_store import ZarrStore

type Compute = Callable[[Study], ZarrStore]

# A fixed method: what is learned from seconds depends on the machine.
DARCY: dict[str, Any] = {
    "description": "Tiny porous media.",
    "problem": {"name": "darcy", "settings": {"cells": 8, "modes": 16}},
    "parameters": {"contrast": {"low": 3.0, "high": 100.0}},
    "sampling": {"method": "sobol", "samples": 5, "seed": 3},
    "time": None,
    "linear": {"method": "direct"},
    "run": {"ranks": 1, "chunk_size": 3, "workers": 1, "retries": 0},
}


@pytest.mark.server
@pytest.mark.mpi
def test_command_line_and_deployment_give_the_bits_of_plain_mpi_jobs(
    served: Any, server: Any, computed: Compute
) -> None:
    expected = served.checksums(computed(served.study(name="plain", **DARCY)))
    assert sorted(expected) == list(range(5))
    done = served.wait(served.start("run", "generate-darcy-data", "--study", served.file(**DARCY)))
    assert done.returncode == 0, done.stderr
    assert "5 of 5 committed, 0 failed, 0 missing" in done.stdout
    assert "steps" not in done.stderr
    study = served.study(name="deployed", **DARCY)
    deployed = ["deployment", "run", "generate-darcy-data/local", "--watch", "--param"]
    told = server.prefect(*deployed, f"study={study.model_dump_json()}")
    assert told.returncode == 0, told.stdout
    for name in ("tiny", "deployed"):
        assert served.checksums(served.store(name)) == expected
        assert Catalog(served.path / "catalog").check(name) == []


@pytest.mark.server
def test_a_deployment_refuses_a_study_of_another_family(served: Any, server: Any) -> None:
    study = served.study()
    command = ["deployment", "run", "generate-darcy-data/local", "--watch", "--param"]
    told = server.prefect(*command, f"study={study.model_dump_json()}")
    (number,) = set(re.findall(r"runs/flow-run/([0-9a-f-]{36})", told.stdout))
    with SyncPrefectClient(server.url) as client:
        state = client.read_flow_run(number).state
    assert state is not None
    assert state.name == "Refused"
    assert "generate-ns-data/local" in str(state.message)
    assert not study.output.exists()


@pytest.mark.mpi
def test_a_resumed_dataset_equals_an_uninterrupted_one(folder: Any, computed: Compute) -> None:
    whole = computed(folder.study(name="whole", **DARCY))
    study = folder.study(name="cut", **DARCY)
    prepare(study)
    first = prepare(study).chunks[0]
    commits = study.dataset / "commits"
    store = computed(study)
    victims = first.samples[1:]
    for index in victims:  # as if the job had been killed after its first sample
        store.paths.commit(index).unlink()
    assert len(list(commits.glob("*.json"))) == 5 - len(victims)
    assert folder.checksums(computed(study)) == folder.checksums(whole)


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory, computed: Compute) -> Summary:
    """Give a dataset that several tests look at."""
    root = tmp_path_factory.mktemp("steady")
    places = {"name": "tiny", "output": root / "out", "catalog": root / "catalog"}
    study = Study.model_validate(DARCY | places)
    computed(study)
    return publish(study, [])


@pytest.mark.mpi
def test_a_steady_dataset_has_a_card_a_figure_and_an_example_that_runs(published: Summary) -> None:
    entry = Path(published.entry)
    assert published.complaint == ""
    assert Catalog(entry.parent).check("tiny") == []
    with Image.open(published.figure) as picture:
        assert min(picture.size) > 200
    card = (entry / "README.md").read_text()
    assert "Taylor-Hood" not in card
    assert "## Time" not in card
    assert r"-\nabla\cdot(K\nabla p) = 1" in card
    assert "| xi_0 ... xi_15 | -5 | 5 | 1 | 16 numbers; the first:" in card
    assert "relative residual of 1e-08" in card
    (example,) = re.findall("```python\n(.*?)```", card, re.DOTALL)
    names: dict[str, Any] = {}
    exec(example, names)  # the example is ours, and has to be right
    data = names["complete"]
    assert data.sizes["sample"] == 5
    assert "time" not in data.variables
    assert all("units" in data[name].attrs for name in ("pressure", "permeability", "residual"))
    assert float(data.pressure.min()) >= 0.0
    assert float(data.residual.max()) <= 1e-8


@pytest.mark.mpi
def test_a_steady_dataset_is_shown_and_has_no_frames(published: Summary, folder: Any) -> None:
    done = folder.romflow("show", published.dataset, "--sample", 2, "--output", "a.png")
    assert done.returncode == 0, done.stderr
    assert "frames" not in done.stdout
    assert "xi_0 ... xi_15 (16)" in done.stdout
    assert "xi_3" not in done.stdout
    assert "direct" in done.stdout
    assert (folder.path / "a.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.mpi
@pytest.mark.parametrize(
    ("frame", "field", "animation", "text"),
    [
        (0, None, None, "--frame: expected a dataset with time, received tiny"),
        (None, None, Path("a.gif"), "--animation: expected a dataset with time"),
        (None, "speed", None, "field: expected one of permeability, pressure, received 'speed'"),
    ],
)
def test_what_a_steady_dataset_cannot_show_is_refused(
    published: Summary, frame: int | None, field: str | None, animation: Path | None, text: str
) -> None:
    with pytest.raises(UserError, match=text):
        show_dataset(published.dataset, Path("none"), None, frame, field, None, animation)


def test_a_dry_run_shows_a_random_field_in_one_line(folder: Any) -> None:
    command = ["run", "generate-darcy-data", "--study", folder.file(**DARCY), "--dry-run"]
    done = folder.romflow(*command)
    assert done.returncode == 0, done.stderr
    assert "xi_0 ... xi_15 (16, normal, -5 to 5)" in done.stdout
    assert "contrast: 3 to 100, log" in done.stdout
    assert "81 vertices, 128 cells" in done.stdout
    assert "xi_3" not in done.stdout
    assert not (folder.path / "out").exists()


@pytest.mark.server
@pytest.mark.mpi
def test_systems_that_cannot_be_solved_are_reported_with_their_reason(served: Any) -> None:
    impossible = DARCY | {"linear": {"method": "direct", "rtol": 1e-16}}
    study = served.file(**impossible)
    done = served.romflow("run", "generate-darcy-data", "--study", study)
    assert done.returncode == 1
    assert "expected 5 samples, committed 0, failed 5, missing 0" in done.stderr
    assert "sample 0 failed (tolerance-below-round-off)" in done.stderr
    assert "linear.rtol" in done.stderr
    assert "Traceback" not in done.stderr
    assert Catalog(served.path / "catalog").check("tiny") == []


@pytest.mark.mpi
def test_one_unsolved_system_leaves_the_others_alone(folder: Any, computed: Compute) -> None:
    """The tolerance lies between what rounding leaves of one sample's residual and the others'."""

    def at(name: str, rtol: float) -> Study:
        made: Study = folder.study(
            name=name, **DARCY | {"linear": {"method": "direct", "rtol": rtol}}
        )
        return made

    failures = computed(at("none", 1e-16)).failures()
    assert sorted(failures) == list(range(5))
    left = [float(re.findall(r"received (\S+) after", f.message)[0]) for f in failures.values()]
    study = at("some", 1.1 * min(left))
    store = computed(study)
    assert store.committed()
    assert store.failures()
    assert store.committed() | set(store.failures()) == set(range(5))
    summary = publish(study, [])
    assert (
        f"committed {len(store.committed())}, failed {len(store.failures())}" in summary.complaint
    )
    assert "--retry-failed" in summary.complaint
    for index in store.committed():
        assert float(store.read(index, "residual")) <= study.linear.rtol
