"""Active sampling against designs that fill the space: the error's mean and its tail.

Heat that spreads from a pulse: narrow pulses that hardly spread are a corner of the parameter box
that a perceptron learns badly. The simulations are the exact solution; stream, trainer, scores
and draws are those of every online training.
"""

import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import final

import numpy as np
import torch
from _report import Report, arguments, middle, number
from numpy.typing import NDArray

from infra.layout import ArraySpec, Layout, ParameterColumn
from infra.records import DrawRecord, Sample
from infra.streaming.client import connect
from infra.streaming.rendezvous import Rendezvous
from infra.zarr_store import ZarrStore
from solvers.parameters import Parameter, ParameterSpace
from solvers.sampling import BreedSampler, BreedSettings, SobolSampler, UniformSampler
from surrogates.job import TrainingJob
from surrogates.online import train
from surrogates.progress_lines import ProgressLines
from surrogates.sample_scores import read_scores
from surrogates.saving import load_model
from surrogates.settings import ModelSettings, ReservoirSettings, TrainingSettings

__all__ = ["main"]

SPACE = ParameterSpace(
    (
        Parameter("centre", 0.3, 0.7, "m", "centre of the pulse"),
        Parameter("width", 0.02, 0.2, "m", "width of the pulse", scale="log"),
        Parameter("diffusivity", 1e-3, 1e-1, "m2 s-1", "diffusivity", scale="log"),
    )
)
X = np.linspace(0.0, 1.0, 101)
METHODS = ("breed", "sobol", "uniform")
# Beside ours: how much larger the error of uniform samples is in the reference's table.
REFERENCE = {"mean": 0.92, "p99": 1.23, "max": 1.17, "std": 1.42}


@final
@dataclass(frozen=True)
class Size:
    """How large the case is."""

    simulations: int
    frames: int
    passes: int
    held_out: int
    seeds: int
    round: int

    @property
    def times(self) -> NDArray[np.float64]:
        """Output times."""
        return np.linspace(0.0, 0.2, self.frames)


def heat(mu: Mapping[str, float], times: NDArray[np.float64]) -> NDArray[np.float64]:
    r"""Return the temperature of a spreading pulse, shape (T, x).

    .. math:: u = \frac{w}{s} e^{-(x - c)^2 / 2 s^2}, \qquad s^2 = w^2 + 2 \kappa t
    """
    square = mu["width"] ** 2 + 2.0 * mu["diffusivity"] * times[:, None]
    return mu["width"] / np.sqrt(square) * np.exp(-((X - mu["centre"]) ** 2) / (2.0 * square))


@final
class Case:
    """One training with one way to choose the simulations.

    Parameters
    ----------
    folder : of its files
    method, seed, size : what is done
    """

    def __init__(self, folder: Path, method: str, seed: int, size: Size) -> None:
        self.size, self.breeds = size, method == "breed"
        kind = UniformSampler if method == "uniform" else SobolSampler
        self.settings = BreedSettings(size=size.round)
        self.sampler = BreedSampler(SPACE, seed, self.settings)
        first = kind(SPACE, seed).suggest(size.simulations)
        # Without scores the sampler that breeds gives the design that fills the space, too.
        later = size.round if self.breeds else size.simulations
        samples = [s if s.index < later else Sample(s.index, {}, s.seed) for s in first]
        self.store = ZarrStore(folder / "data")
        layout = _layout(samples, size.times)
        self.store.create(layout)
        self.job = TrainingJob(
            study=layout.digest(),
            dataset=folder / "data",
            run=folder,
            rendezvous=folder / "rendezvous.json",
            samples=tuple(range(size.simulations)),
            bounds={p.name: (p.low, p.high) for p in SPACE.parameters},
            logarithmic=("width", "diffusivity"),
            active=self.breeds,
            model=ModelSettings(settings={"hidden": [64, 64, 64]}),
            reservoir=ReservoirSettings(capacity=size.simulations * size.frames, threshold=20),
            training=TrainingSettings(
                batch=16,
                passes=size.passes,
                seed=seed,
                schedule={"kind": "cosine", "floor": 0.01},
                checkpoint_every=1e9,
            ),
        )

    def run(self) -> float:
        """Train to the end; return the seconds that it took."""
        begin = time.perf_counter()
        flow = threading.Thread(target=self._simulate)
        flow.start()
        train(self.job, ProgressLines(lambda _: None, 1e9))
        flow.join()
        return time.perf_counter() - begin

    def errors(self, mus: Sequence[Mapping[str, float]]) -> NDArray[np.float64]:
        """Return the root mean square error of each held-out simulation over all its frames, K.

        It is what the training minimises: relative to a simulation's own size, other simulations
        than those that the scores speak of would be the bad ones.
        """
        model, times = load_model(self.job.paths.model), self.size.times
        values = torch.tensor([[mu[p.name] for p in SPACE.parameters] for mu in mus])
        found = model.rollout(values, torch.from_numpy(times)).double().numpy()
        truth = np.stack([heat(mu, times) for mu in mus])
        return np.asarray(np.sqrt(((found - truth) ** 2).mean(axis=(1, 2))))

    def _simulate(self) -> None:
        """Be the flow and its simulations: a round after the other, as `flows.breeding` does."""
        path = self.job.run / "rendezvous.json"
        while not (path.exists() and Rendezvous.read(path).endpoints):
            time.sleep(0.01)
        sent = 0
        while sent < self.size.simulations:
            stop = min(sent + self.size.round, self.size.simulations)
            if sent and self.breeds:
                self._draw(sent, stop)
            for sample in self.store.samples[sent:stop]:
                stream = connect(path, sample.index, mu=sample.mu, seed=sample.seed)
                for step, frame in enumerate(heat(sample.mu, self.size.times)):
                    stream.send(step, frame)
                stream.finish()
            sent = stop

    def _draw(self, first: int, stop: int) -> None:
        last = set(range(first - self.size.round, first))
        patience = time.monotonic() + self.settings.patience
        while time.monotonic() < patience:
            told = read_scores(self.job.paths.scores)
            if last <= told.visits.keys() and told.mood == "waiting":
                break
            time.sleep(0.02)
        samples = [self.store.samples[index] for index in told.scores]
        self.sampler.suggest(first)
        self.sampler.ingest(samples, [{"delta_loss": q} for q in told.scores.values()])
        self.store.draw(DrawRecord(tuple(self.sampler.suggest(stop)[first:]), {}))


def _layout(samples: Sequence[Sample], times: NDArray[np.float64]) -> Layout:
    return Layout(
        name="pulses",
        title="Heat that spreads from a pulse",
        samples=tuple(samples),
        parameters=tuple(ParameterColumn(p.name, p.unit, p.description) for p in SPACE.parameters),
        dims={"node": X.size},
        times=times,
        arrays=(ArraySpec("temperature", ("sample", "time", "node"), "K", "temperature"),),
    )


def measures(errors: NDArray[np.float64]) -> dict[str, float]:
    """Return mean and tail of the errors of the held-out simulations."""
    p99 = float(np.quantile(errors, 0.99))
    return {"mean": float(errors.mean()), "p99": p99, "max": float(errors.max()),
            "std": float(errors.std())}  # fmt: skip


def race(size: Size) -> dict[str, list[dict[str, float]]]:
    """Train with every method and seed in turn; return the measures of each training."""
    mus = [s.mu for s in UniformSampler(SPACE, 987).suggest(size.held_out)]
    found: dict[str, list[dict[str, float]]] = {method: [] for method in METHODS}
    for seed in range(1, size.seeds + 1):
        for method in METHODS:
            with TemporaryDirectory() as folder:
                case = Case(Path(folder), method, seed, size)
                seconds = case.run()
                found[method].append({**measures(case.errors(mus)), "seconds": seconds})
    return found


def main() -> int:
    """Compare the three ways to choose simulations."""
    quick = arguments(__doc__).quick
    torch.set_num_threads(1)
    report = Report("breed", "Active sampling by Breed", quick=quick)
    size = Size(48, 11, 30, 400, 3, 8) if quick else Size(96, 31, 40, 1000, 5, 16)
    report.note(
        f"{size.simulations} simulations of {size.frames} frames, each seen {size.passes} times, "
        f"in rounds of {size.round}; {size.seeds} seeds; root mean square errors, in K, of "
        f"{size.held_out} held-out simulations that are uniform in the box. Median "
        "(least to largest)."
    )
    found = race(size)
    columns = [*REFERENCE, "seconds"]
    rows = [[m, *(_spread([one[c] for one in found[m]]) for c in columns)] for m in METHODS]
    report.table(["samples", *columns], rows)
    report.section("Error of the others over that of breed: above 1 breed is better")
    ratios = {
        m: {c: [o[c] / b[c] for o, b in zip(found[m], found["breed"], strict=True)]
            for c in REFERENCE} for m in METHODS[1:]
    }  # fmt: skip
    table = [[f"{m} / breed", *(_spread(ratios[m][c]) for c in REFERENCE)] for m in ratios]
    theirs = ["uniform / breed in the table of OGAS (arXiv:2606.09949)", *REFERENCE.values()]
    report.table(["", *REFERENCE], [*table, theirs])
    report.at_least("breed-p99-ratio", middle(ratios["sobol"]["p99"]), 1.0)
    report.at_least("breed-p99-ratio-uniform", middle(ratios["uniform"]["p99"]), 1.0)
    return report.finish()


def _spread(values: Sequence[float]) -> str:
    return f"{number(middle(values), 3)} ({number(min(values), 3)} to {number(max(values), 3)})"


if __name__ == "__main__":
    sys.exit(main())
