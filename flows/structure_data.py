"""The runs of a structure's study, computed or read: what a model is built from and judged by."""

from collections.abc import Callable, Mapping
from typing import Any, final

from flows.structure_alone import alone
from flows.structure_design import StructureDesign, structure_design
from flows.structure_store import RunJob, RunStore
from flows.structure_study import StructureStudy
from infra.errors import UserError
from infra.records import Json, Sample
from rom.structures.trajectory import Trajectory

__all__ = ["Compute", "StructureData", "run_job"]

# Computes runs that are missing; returns what went wrong.
type Compute = Callable[[RunStore, list[RunJob]], list[str]]

# The indicator is calibrated by leaving out one of them.
_FEWEST = 3


def run_job(study: StructureStudy, made: StructureDesign, sample: Sample) -> RunJob:
    """Return the full-order run of a sample."""
    return RunJob(
        problem=study.problem,
        settings=dict(made.settings),
        law=study.law,
        mu=dict(sample.mu),
        solver=study.solver,
    )


@final
class StructureData:
    """See the module.

    Parameters
    ----------
    study : what is built

    Attributes
    ----------
    made : its runs, and what they have in common
    store : keeps them

    Raises
    ------
    UserError
        If the study is wrong.
    """

    def __init__(self, study: StructureStudy) -> None:
        self.study, self.made = study, structure_design(study)
        self.store = RunStore(study.runs)
        self._jobs = {
            sample.index: run_job(study, self.made, sample) for sample in self.made.samples
        }

    def compute(self, compute: Compute) -> list[str]:
        """Compute what is missing, and return what went wrong with jobs as a whole.

        Raises
        ------
        UserError
            If another build of the structure is computing its runs.
        """
        # Two at once would each compute every run.
        work, after = f"build of {self.study.name}", "it computes what is missing then"
        with alone(self.store.folder, work, after):
            return compute(self.store, list(self._jobs.values()))

    @property
    def trained(self) -> tuple[Sample, ...]:
        """Runs to build from that could be computed.

        Raises
        ------
        UserError
            If there are less than three.
        """
        found = self._there(self.made.training)
        if len(found) < _FEWEST:
            raise UserError(
                f"Expected at least {_FEWEST} full-order runs to build from; received "
                f"{len(found)}:\n{self.complaint()}"
            )
        return found

    @property
    def held_out(self) -> tuple[Sample, ...]:
        """Held-out runs that could be computed."""
        return self._there(self.made.held_out)

    def listed(self, lineage: Mapping[str, Json], part: str) -> tuple[Sample, ...]:
        """Return the runs that a model was built from, or that judge it: these and no others.

        Parameters
        ----------
        lineage : of the model
        part : samples or held_out

        Raises
        ------
        UserError
            If one is missing.
        """
        rows: Any = lineage.get(part, [])
        indices = {int(row["index"]) for row in rows}
        found = tuple(sample for sample in self.made.samples if sample.index in indices)
        for sample in found:
            job = self._jobs[sample.index]
            if not self.store.committed(job):
                raise UserError(
                    f"Expected the full-order runs of {self.study.name}, {len(found)} in "
                    f"{part.replace('_', ' ')}; received no file {self.store.path(job)} of run "
                    f"{sample.index}. Put it back, or compute it again: romflow run build-rom "
                    f"--rom with the study of {self.study.name}."
                )
        return found

    def trajectory(self, sample: Sample) -> Trajectory:
        """Return a run that is there.

        Raises
        ------
        ChecksumError
            If its file is damaged.
        UserError
            If it does not fit the mesh.
        """
        run = self.store.load(self._jobs[sample.index])
        return Trajectory(run.times, run.displacement, self.made.loads(sample.mu))

    def seconds(self, samples: tuple[Sample, ...]) -> float:
        """Return the wall-clock time of some runs together."""
        return sum(self.store.load(self._jobs[sample.index]).seconds for sample in samples)

    def complaint(self, problems: list[str] | None = None) -> str:
        """Say which runs are missing and what to do; nothing if all are there."""
        lost = [s for s in self.made.samples if not self.store.committed(self._jobs[s.index])]
        if not lost:
            return ""
        lines = [f"{len(lost)} full-order runs could not be computed:"]
        for sample in lost:
            why = self.store.failure(self._jobs[sample.index]) or "not computed"
            lines.append(f"  run {sample.index}: {why}")
        lines += [f"  {problem}" for problem in dict.fromkeys(problems or ())]
        lines.append(
            "Run the same command again to compute what is missing; failed ones are tried again "
            "with --retry-failed."
        )
        return "\n".join(lines)

    def _there(self, samples: tuple[Sample, ...]) -> tuple[Sample, ...]:
        return tuple(s for s in samples if self.store.committed(self._jobs[s.index]))
