"""FMUs: the standard's own checks, and the same numbers as the model."""

import shutil
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import fmpy
import numpy as np
import pytest
from fmpy.fmi2 import FMU2Slave
from fmpy.validation import validate_fmu

from infra.errors import UserError
from rom.array_snapshots import ArraySnapshots
from rom.export.fmu import CompilerError, Probe, export_fmu
from rom.reduced_model import ReducedModel
from rom.selection import Select

type Make = Callable[..., ReducedModel]
type Study = Callable[..., ArraySnapshots]

PROBES = (Probe("temperature", (0.31, 0.42)), Probe("flux", (0.77, 0.9)))
INSIDE = {"height": 0.37, "power": 4.2}
OUTSIDE = {"height": 0.95, "power": 14.0}


@contextmanager
def running(path: Path) -> Iterator[tuple[FMU2Slave, dict[str, int]]]:
    """Load an FMU and bring it to its first step."""
    description = fmpy.read_model_description(str(path))
    folder = fmpy.extract(str(path))
    slave = FMU2Slave(
        guid=description.guid,
        unzipDirectory=folder,
        modelIdentifier=description.coSimulation.modelIdentifier,
        instanceName="test",
    )
    try:
        slave.instantiate()
        slave.setupExperiment(startTime=0.0)
        slave.enterInitializationMode()
        slave.exitInitializationMode()
        yield slave, {v.name: v.valueReference for v in description.modelVariables}
        slave.terminate()
        slave.freeInstance()
    finally:
        shutil.rmtree(folder)


def values(slave: FMU2Slave, names: dict[str, int], mu: dict[str, float]) -> dict[str, float]:
    slave.setReal([names[name] for name in mu], list(mu.values()))
    slave.doStep(currentCommunicationPoint=0.0, communicationStepSize=0.0)
    return now(slave, names)


def now(slave: FMU2Slave, names: dict[str, int]) -> dict[str, float]:
    real = [name for name in names if name != "in_range"]
    found = dict(zip(real, slave.getReal([names[n] for n in real]), strict=True))
    return found | {"in_range": float(slave.getBoolean([names["in_range"]])[0])}


def expected(model: ReducedModel, mu: dict[str, float], t: float) -> dict[str, float]:
    times = None if model.steady else t
    numbers = model.query(mu, times)
    found = {name: float(value[0, 0]) for name, value in numbers.values.items()}
    for probe in PROBES:
        answer = model.query(mu, times, Select.probes([probe.point], probe.field))
        place = ", ".join(repr(x) for x in probe.point)
        found[f"{probe.field}({place})"] = float(answer.values[probe.field][0, 0, 0])
    trust = {"indicator": answer.eta, "range_score": answer.score, "distance": answer.distance}
    found |= {name: float(value[0]) for name, value in trust.items()}
    return found | {"in_range": float(answer.in_range[0])}


def assert_same(got: dict[str, float], wanted: dict[str, float]) -> None:
    for name, value in wanted.items():
        assert got[name] == pytest.approx(value, rel=1e-9, abs=1e-12), name


@pytest.fixture(scope="session")
def steady_fmu(model: ReducedModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("fmu") / "steady.fmu"
    export_fmu(model, path, probes=PROBES)
    return path


def test_the_standards_validation_finds_nothing(steady_fmu: Path) -> None:
    assert validate_fmu(str(steady_fmu)) == []


@pytest.mark.parametrize("mu", [INSIDE, OUTSIDE])
def test_a_steady_fmu_gives_the_models_numbers(
    model: ReducedModel, steady_fmu: Path, mu: dict[str, float]
) -> None:
    with running(steady_fmu) as (slave, names):
        assert_same(values(slave, names, mu), expected(model, mu, 0.0))


def assert_like_the_model(made: ReducedModel, path: Path) -> None:
    export_fmu(made, path, probes=PROBES)
    assert validate_fmu(str(path)) == []
    with running(path) as (slave, names):
        slave.setReal([names[name] for name in INSIDE], list(INSIDE.values()))
        for k in range(10):
            slave.doStep(currentCommunicationPoint=0.1 * k, communicationStepSize=0.1)
            assert_same(now(slave, names), expected(made, INSIDE, min(0.1 * (k + 1), 1.0)))
        # Other parameters in the middle: the trajectory that belongs to them.
        slave.setReal([names[name] for name in OUTSIDE], list(OUTSIDE.values()))
        assert_same(now(slave, names), expected(made, OUTSIDE, 1.0))


def test_an_fmu_in_time_gives_the_models_numbers(moving: ReducedModel, tmp_path: Path) -> None:
    assert_like_the_model(moving, tmp_path / "moving.fmu")


@pytest.mark.parametrize("count", [2, 3, 9])
@pytest.mark.parametrize("kernel", ["cubic", "quintic"])
def test_an_fmu_of_radial_bases_gives_the_models_numbers(
    makes: Make, studies: Study, tmp_path: Path, kernel: str, count: int
) -> None:
    snapshots = studies(16, np.linspace(0.0, 1.0, count))
    options = {"kernel": kernel}
    made = makes(snapshots, tolerance=1e-3, regressor="rbf", options=options, local="never")
    assert_like_the_model(made, tmp_path / "moving.fmu")


def test_stock_simulation_runs_through_the_trained_times(
    moving: ReducedModel, tmp_path: Path
) -> None:
    path = tmp_path / "moving.fmu"
    export_fmu(moving, path)
    result: Any = fmpy.simulate_fmu(str(path), start_values=INSIDE)
    assert result["time"][-1] == pytest.approx(1.0)
    wanted = moving.query(INSIDE, result["time"].clip(0.0, 1.0)).values["mean"][0]
    np.testing.assert_allclose(result["mean"], wanted, rtol=1e-9)


def test_a_kept_state_brings_back_time_and_parameters(moving: ReducedModel, tmp_path: Path) -> None:
    path = tmp_path / "moving.fmu"
    export_fmu(moving, path)
    with running(path) as (slave, names):
        slave.setReal([names[name] for name in INSIDE], list(INSIDE.values()))
        slave.doStep(currentCommunicationPoint=0.0, communicationStepSize=0.5)
        before, state = now(slave, names), slave.getFMUState()
        kept = slave.serializeFMUState(state)
        slave.setReal([names[name] for name in OUTSIDE], list(OUTSIDE.values()))
        slave.doStep(currentCommunicationPoint=0.5, communicationStepSize=0.5)
        assert now(slave, names) != before
        slave.setFMUState(state)
        slave.freeFMUState(state)
        assert now(slave, names) == before
        slave.reset()
        again = slave.deSerializeFMUstate(kept)
        slave.setFMUState(again)
        assert now(slave, names) == before


@pytest.mark.parametrize("wrong", ["time", "nan"])
def test_what_the_model_does_not_know_is_refused(
    moving: ReducedModel, tmp_path: Path, wrong: str
) -> None:
    path = tmp_path / "moving.fmu"
    export_fmu(moving, path)
    calls: dict[str, Callable[[Any, dict[str, int]], object]] = {
        "time": lambda slave, _: slave.doStep(0.9, 0.5),
        "nan": lambda slave, names: slave.setReal([names["height"]], [float("nan")]),
    }
    with running(path) as (slave, names), pytest.raises(Exception, match="status 3"):
        calls[wrong](slave, names)


def test_equal_models_give_equal_files_and_others_another_guid(
    model: ReducedModel, steady_fmu: Path, tmp_path: Path
) -> None:
    again, other = tmp_path / "again.fmu", tmp_path / "other.fmu"
    export_fmu(model, again, probes=PROBES)
    assert again.read_bytes() == steady_fmu.read_bytes()
    export_fmu(model, other, quantities=["mean"])
    guids = {ET.fromstring(zipfile.ZipFile(f).read("modelDescription.xml")).get("guid")
             for f in (again, other)}  # fmt: skip
    assert len(guids) == 2
    with running(other) as (_, names):
        assert "total" not in names


def test_what_cannot_be_exported_is_said(
    model: ReducedModel, makes: Make, studies: Study, tmp_path: Path
) -> None:
    path = tmp_path / "wrong.fmu"
    with pytest.raises(UserError, match="quantities out of mean, total"):
        export_fmu(model, path, quantities=["drag"])
    with pytest.raises(UserError, match="received twice"):
        export_fmu(model, path, probes=[PROBES[0], PROBES[0]])
    with pytest.raises(CompilerError, match="Install gcc"):
        export_fmu(model, path, compiler="no-such-compiler")
    neural = makes(
        studies(), regressor="neural", options={"iterations": 5, "members": 1}, local="never"
    )
    with pytest.raises(UserError, match="regressor=gp"):
        export_fmu(neural, path)
    assert not path.exists()


@pytest.mark.parametrize("place", [None, 0, 8, 16, 20 * 8 + 6, -1])
def test_a_damaged_file_of_numbers_is_refused(
    steady_fmu: Path, tmp_path: Path, place: int | None
) -> None:
    path = tmp_path / "damaged.fmu"
    with zipfile.ZipFile(steady_fmu) as old, zipfile.ZipFile(path, "w") as new:
        for name in old.namelist():
            data = bytearray(old.read(name))
            if name.endswith("model.bin") and place is None:
                del data[-8:]
            elif name.endswith("model.bin") and place is not None:
                data[place] ^= 1
            new.writestr(name, bytes(data))
    with pytest.raises(Exception, match="nstantiate"), running(path):
        pass
