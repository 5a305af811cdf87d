"""Enriched runs on disk, after each step, so that one that was interrupted can go on.

::

    <folder>/model-000003/   the model, its indicator and the last high-fidelity state
             step-000017/    state, path and records after the 17th step

A step names its model; the newest step that is whole is the one to go on from. Models change
only when they are enriched, and are then written once.
"""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from infra.array_folder import is_array_folder, read_folder, write_folder
from infra.errors import UserError
from infra.records import Json
from rom.regression.state import nest, part
from rom.structures.enriched_run import EnrichedRun, StepRecord
from rom.structures.indicator_state import indicator_arrays, indicator_from
from rom.structures.model_folder import structure_arrays, structure_from
from rom.structures.replay import PointState
from rom.structures.state import ReducedState

__all__ = ["Checkpoints"]

type _Arrays = Mapping[str, NDArray[Any]]


@final
class Checkpoints:
    """The checkpoints of one run.

    Parameters
    ----------
    folder
        Made when the first one is written.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def save(self, run: EnrichedRun) -> None:
        """Write a run; earlier steps are removed when it is whole.

        Raises
        ------
        StorageFullError, StorageAccessError
            If it cannot be written; the step before stays.
        """
        model, step = self._model(run.version), self._step(len(run.records))
        if not is_array_folder(model):
            write_folder(model, *_model_state(run))
        if not is_array_folder(step):
            write_folder(step, *_step_state(run))
        for path in self._steps()[:-1]:
            shutil.rmtree(path)
        for path in sorted(self.folder.glob("model-*")):
            if path != model:
                shutil.rmtree(path)

    @property
    def begun(self) -> bool:
        """Whether a step is there to go on from; a run may have ended before its first one."""
        return bool(self._steps())

    def load(self) -> EnrichedRun:
        """Return the run of the newest step.

        Raises
        ------
        UserError
            If there is none.
        ChecksumError
            If a file is damaged.
        """
        steps = self._steps()
        if not steps:
            raise UserError(
                f"Expected checkpoints of a run in {self.folder}; there are none. Start the run "
                "from its beginning."
            )
        arrays, text = read_folder(steps[-1])
        version: Any = text["version"]
        return _run(read_folder(self._model(int(version))), arrays, text)

    def _steps(self) -> list[Path]:
        return [path for path in sorted(self.folder.glob("step-*")) if is_array_folder(path)]

    def _model(self, version: int) -> Path:
        return self.folder / f"model-{version:06d}"

    def _step(self, number: int) -> Path:
        return self.folder / f"step-{number:06d}"


def _model_state(run: EnrichedRun) -> tuple[dict[str, NDArray[Any]], dict[str, Json]]:
    arrays, text = structure_arrays(run.model)
    anchor = run.anchor
    own = {
        "strain": anchor.strain,
        "temperature": anchor.temperature,
        "stress": anchor.stress,
        "internal": anchor.internal,
        **indicator_arrays(run.indicator),
        "anchor_time": np.array([anchor.time]),
    }
    return {**nest("model", arrays), **own}, {"model": text, "indicator": run.indicator.name}


def _step_state(run: EnrichedRun) -> tuple[dict[str, NDArray[Any]], dict[str, Json]]:
    arrays = {
        "time": np.array([run.state.time]),
        "q": run.state.q,
        "stress": run.state.stress,
        "internal": run.state.internal,
        "times": run.times,
        "coefficients": run.coefficients,
        "records": np.array(
            [[r.time, r.residual, r.eta, r.error, r.imbalance] for r in run.records]
        ).reshape(-1, 5),
        "trusted": np.array([r.trusted for r in run.records], np.bool_),
    }
    text: dict[str, Json] = {
        "version": run.version,
        "levels": [record.level for record in run.records],
    }
    return arrays, text


def _run(
    model: tuple[_Arrays, Mapping[str, Any]], arrays: _Arrays, text: Mapping[str, Any]
) -> EnrichedRun:
    own = {name: np.array(array) for name, array in arrays.items()}
    kept, words = {name: np.array(array) for name, array in model[0].items()}, model[1]
    anchor_time = float(kept["anchor_time"][0])
    state = ReducedState(float(own["time"][0]), own["q"], own["stress"], own["internal"])
    records = tuple(
        StepRecord(row[0], level, row[1], row[2], trusted, row[3], row[4])
        for row, level, trusted in zip(
            own["records"].tolist(), text["levels"], own["trusted"].tolist(), strict=True
        )
    )
    return EnrichedRun(
        model=structure_from(part("model", kept), words["model"]),
        indicator=indicator_from(words["indicator"], kept),
        version=int(text["version"]),
        state=state,
        anchor=PointState(
            anchor_time, kept["strain"], kept["temperature"], kept["stress"], kept["internal"]
        ),
        times=own["times"],
        coefficients=own["coefficients"],
        records=records,
    )
