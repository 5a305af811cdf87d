"""Reduced models as FMUs: the standard's validation, and the time of a step.

``python benchmarks/fmu.py [--quick]``. Two models: a steady one of 40 samples and 20 modes, and one
in time. A step sets all parameters to new values, steps, and reads all outputs with the indicator,
through fmpy, as a simulator in Python does; a second figure keeps the parameters, as most
simulators do between two steps.
"""

import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

import fmpy
import numpy as np
from _report import Report, arguments, number
from _rom_problems import PARAMETERS, trajectories
from _rom_service_model import NAME, publish
from fmpy.fmi2 import FMU2Slave
from fmpy.validation import validate_fmu

from rom.array_snapshots import ArraySnapshots
from rom.building import build
from rom.export.fmu import Probe, export_fmu
from rom.reduced_model import ReducedModel
from rom.registry import Registry
from rom.settings import ReducedModelSettings

_STEP = 1e-4
_REPEATS = 5


def main() -> int:
    options = arguments(__doc__)
    report = Report("fmu", "Reduced models as FMUs", quick=options.quick)
    steps = 1000 if options.quick else 20_000
    with tempfile.TemporaryDirectory(prefix="romflow-fmu-") as name:
        folder = Path(name)
        publish(folder, 2500 if options.quick else 100_000)
        models = {"steady": Registry(folder).load(NAME), "in time": _in_time()}
        rows, worst, complaints = [], 0.0, 0
        wrong = np.zeros(2)
        for words, model in models.items():
            path = folder / f"{model.name}.fmu"
            begun = time.perf_counter()
            export_fmu(model, path, probes=_probes(model))
            exported = time.perf_counter() - begun
            complaints += len(validate_fmu(str(path)))
            changed, kept, error = _measured(model, path, steps)
            worst, wrong = max(worst, changed), np.maximum(wrong, error)
            rows.append(
                (words, str(model.rank), number(changed * 1e6), number(kept * 1e6),
                 number(exported), number(path.stat().st_size / 1e6))
            )  # fmt: skip
    report.section("A step")
    report.note("Medians of 5 runs, through fmpy; all outputs are read, the indicator among them.")
    report.table(
        ("model", "modes", "new parameters, us", "same parameters, us", "export, s", "file, MB"),
        rows,
    )
    report.at_most("complaints of the validation", complaints, 0)
    report.at_most("step with new parameters, ms", worst * 1e3, _STEP * 1e3)
    report.note(
        f"Largest relative differences to the model: {wrong[0]:.2g} in the quantities, "
        f"{wrong[1]:.2g} in the indicator, whose variance is a small difference of large numbers."
    )
    report.at_most("relative difference of the quantities to the model", float(wrong[0]), 1e-8)
    return report.finish()


def _in_time() -> ReducedModel:
    samples = trajectories(30, 24, 41)
    snapshots = ArraySnapshots(
        samples.space, PARAMETERS, samples.x, samples.rows, samples.times,
        bounds=dict.fromkeys(PARAMETERS, (0.0, 1.0)),
        quantities={"mean": samples.rows.mean(axis=2)}, quantity_units={"mean": "1"},
    )  # fmt: skip
    settings = ReducedModelSettings(
        product="euclidean", rank=9, tolerance=1e-6, local="never", options={"restarts": 0}
    )
    return build(snapshots, settings, np.random.default_rng(0), name="decay")


def _probes(model: ReducedModel) -> list[Probe]:
    info = model.parts.space.fields[0]
    middle = model.parts.space.points_of(info.location).mean(axis=0)
    return [Probe(info.name, tuple(float(x) for x in middle))]


def _measured(
    model: ReducedModel, path: Path, steps: int
) -> tuple[float, float, tuple[float, float]]:
    """Return seconds of a step with new and with the same parameters, and the largest error."""
    description = fmpy.read_model_description(str(path))
    folder = fmpy.extract(str(path))
    try:
        slave = FMU2Slave(
            guid=description.guid,
            unzipDirectory=folder,
            modelIdentifier=description.coSimulation.modelIdentifier,
            instanceName="bench",
        )
        slave.instantiate()
        slave.setupExperiment(startTime=0.0)
        slave.enterInitializationMode()
        slave.exitInitializationMode()
        inputs = [v.valueReference for v in description.modelVariables if v.causality == "input"]
        outputs = [
            v.valueReference
            for v in description.modelVariables
            if v.causality == "output" and v.type == "Real"
        ]
        low, high = np.array([(p.low, p.high) for p in model.parameters.space.free]).T
        points = low + (high - low) * np.random.default_rng(0).random((steps, len(low)))
        changed = [_run(slave, inputs, outputs, points, model) for _ in range(_REPEATS)]
        same = np.repeat(points[:1], steps, axis=0)
        kept = [_run(slave, inputs, outputs, same, model) for _ in range(_REPEATS)]
        error = _error(model, slave, description, points[:20])
        slave.terminate()
        slave.freeInstance()
    finally:
        shutil.rmtree(folder)
    return median(changed), median(kept), error


def _run(
    slave: FMU2Slave,
    inputs: Sequence[int],
    outputs: Sequence[int],
    points: np.ndarray,
    model: ReducedModel,
) -> float:
    first, last = float(model.times[0]), float(model.times[-1])
    size = (last - first) / len(points)
    rows = points.tolist()
    begun = time.perf_counter()
    for k, row in enumerate(rows):
        slave.setReal(inputs, row)
        slave.doStep(currentCommunicationPoint=first + k * size, communicationStepSize=size)
        slave.getReal(outputs)
    return (time.perf_counter() - begun) / len(rows)


def _error(
    model: ReducedModel, slave: FMU2Slave, description: Any, points: np.ndarray
) -> tuple[float, float]:
    """Return the largest relative differences of quantities and of the indicator."""
    names = {v.name: v.valueReference for v in description.modelVariables}
    quantities, indicator, last = 0.0, 0.0, float(model.times[-1])
    for row in points:
        slave.setReal([names[n] for n in model.parameters.names], row.tolist())
        slave.doStep(currentCommunicationPoint=last, communicationStepSize=0.0)
        answer = model.query(row, None if model.steady else last)
        for name, values in answer.values.items():
            quantities = max(quantities, _gap(slave, names[name], float(values[0, 0])))
        indicator = max(indicator, _gap(slave, names["indicator"], float(answer.eta[0])))
    return quantities, indicator


def _gap(slave: FMU2Slave, reference: int, wanted: float) -> float:
    return abs(float(slave.getReal([reference])[0]) - wanted) / (abs(wanted) or 1.0)


if __name__ == "__main__":
    sys.exit(main())
