"""Reduced models from snapshots beside pyMOR, EZyRB, PyDMD and opinf, on the same arrays.

Those run in an environment of their own (`peers-requirements.txt`, installed at the first run) and
read the snapshots from .npy files; all processes take their times themselves, in turns.
"""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from _report import ROOT, Report, arguments, interleaved, middle, number, one_thread
from _rom_peers import Peers
from _rom_problems import PARAMETERS, Samples, graded, plate, trajectories, write_trajectories
from numpy.typing import NDArray

from rom.array_snapshots import ArraySnapshots
from rom.building import build
from rom.leave_one_out import leave_one_out
from rom.model_folder import save_model
from rom.products import Euclidean, SparseProduct
from rom.reduced_model import ReducedModel
from rom.selection import Select
from rom.settings import ReducedModelSettings
from rom.time_modes import TimeModes, TimeModesSettings
from rom.wide_basis import coordinates, wide_basis

__all__ = ["main"]

type _Floats = NDArray[np.float64]

_RANK = 20
_REPEATS = 5


def model_of(samples: Samples, **settings: object) -> ReducedModel:
    """Build a model of the training snapshots."""
    timed = len(samples.times) > 1
    snapshots = ArraySnapshots(
        samples.space, PARAMETERS, samples.x, samples.rows, samples.times if timed else None,
        bounds=dict.fromkeys(PARAMETERS, (0.0, 1.0)),
    )  # fmt: skip
    given = ReducedModelSettings.model_validate({"local": "never"} | settings)
    return build(snapshots, given, np.random.default_rng(0))


def weighted(report: Report, peers: Peers, folder: Path, n: int) -> None:
    """Compare the errors of POD in the mass product, with the same number of modes."""
    samples, mass = graded(n, 40)
    rank = 9
    model = model_of(samples, product="mass", rank=rank, tolerance=1e-10, scales={"u": 1.0})
    norm = SparseProduct(mass).norms
    sizes = norm(samples.test_rows.T)
    fields = model.query(samples.test_x, select="fields").values["u"][:, 0]
    basis = model.basis
    true = basis.coefficients(samples.test_rows)
    found = model.query(samples.test_x, select="coefficients").values["coefficients"][:, 0]
    total = _mean(norm((fields - samples.test_rows).T) / sizes)
    projection = _mean(basis.projection_error(samples.test_rows))
    regression = _mean(np.linalg.norm(found - true, axis=1) / sizes)
    stem = str(samples.save(folder, "graded"))
    np.savez(f"{stem}-mass.npz", data=mass.data, indices=mass.indices, indptr=mass.indptr)
    report.section(f"POD with regression in the mass product: interval of {n} graded nodes")
    report.note(
        "Mean relative L2 errors at 50 new parameters, 40 snapshots, 9 modes; pyMOR's "
        "`DataDrivenPODReductor` with its own regressor, and with scikit-learn's Gaussian process."
    )
    rows: list[list[object]] = [
        ["romflow", "mass", "Gaussian process", total, projection, regression]
    ]
    for regressor in ("vkoga", "gp"):
        for product in ("none", "mass", "mass, twice"):
            kept = peers.ask(
                "pymor", stem=stem, rank=rank, product=product, regressor=regressor,
                predicted=f"{stem}-pymor.npy",
            )  # fmt: skip
            theirs = np.load(f"{stem}-pymor.npy")
            error = _mean(norm((theirs - samples.test_rows).T) / sizes)
            rows.append([f"pyMOR {kept['version']}", product, regressor, error, "", ""])
    report.table(["", "product", "regressor", "error", "projection", "regression"], rows)
    report.at_most("weighted-error-over-parts", total / (projection + regression), 1.2)


def queries(report: Report, peers: Peers, folder: Path, samples: Samples) -> ReducedModel:
    """Compare single queries and batches at many values."""
    n = samples.rows.shape[1]
    stem = str(samples.save(folder, "plate"))
    fitted = peers.ask("ezyrb_fit", stem=stem, rank=_RANK, predicted=f"{stem}-ezyrb.npy")
    model = model_of(samples, product="mass", rank=_RANK, tolerance=1e-6)
    rng = np.random.default_rng(0)
    probes = Select.probes(rng.random((100, 2)))
    mus = [dict(zip(PARAMETERS, map(float, x), strict=True)) for x in rng.random((200, 2))]
    batch = rng.random((200, 2))
    for select in (Select.coefficients(), probes, Select.fields()):
        model.query(mus[0], select=select)
    times = interleaved(
        _REPEATS,
        ezyrb=lambda: peers.ask("ezyrb_query", count=40)["seconds"],
        coefficients=lambda: _each(lambda mu: model.query(mu, select="coefficients"), mus),
        probes=lambda: _each(lambda mu: model.query(mu, select=probes), mus),
        fields=lambda: _each(lambda mu: model.query(mu, select="fields"), mus[:40]),
        ezyrb_batch=lambda: peers.ask("ezyrb_batch", count=200)["seconds"],
        batch=lambda: _batched(model, batch, "fields"),
        probe_batch=lambda: _batched(model, batch, probes),
    )
    report.section(f"Queries at {n} values, {len(samples.x)} snapshots, {_RANK} modes")
    report.note(
        f"Milliseconds for one query, medians of {_REPEATS} with the range. Ours answer with the "
        f"indicator and the place in the trained range; EZyRB {fitted['version']} (POD and RBF) "
        "with fields only."
    )
    names = {
        "ezyrb": "EZyRB, field", "coefficients": "coefficients", "probes": "100 probes",
        "fields": "field", "ezyrb_batch": "EZyRB, field, batch of 200",
        "batch": "field, batch of 200", "probe_batch": "100 probes, batch of 200",
    }  # fmt: skip
    medians = {name: middle(values) for name, values in times.items()}
    rows = []
    for name, title in names.items():
        beside = medians["ezyrb_batch" if "batch" in name else "ezyrb"]
        low, high = (number(1e3 * f(times[name]), 3) for f in (min, max))
        rows.append([title, 1e3 * medians[name], f"{low} to {high}", beside / medians[name]])
    report.table(["query", "ms", "range", "times faster than EZyRB"], rows)
    fields = model.query(samples.test_x, select="fields").values["u"][:, 0]
    theirs = np.load(f"{stem}-ezyrb.npy")
    report.table(
        ["", "mean relative error at new parameters"],
        [["romflow", _relative(fields, samples)], ["EZyRB", _relative(theirs, samples)]],
    )
    report.at_least("coefficients-against-ezyrb", medians["ezyrb"] / medians["coefficients"], 30)
    report.at_least("probes-against-ezyrb", medians["ezyrb"] / medians["probes"], 30)
    return model


def left_out(report: Report, peers: Peers, folder: Path, samples: Samples) -> None:
    """Compare leave-one-out errors: time, and that ours are what leaving out gives."""
    n, m = samples.rows.shape[1], len(samples.x)
    stem = str(samples.save(folder, "left"))
    peers.ask("ezyrb_fit", stem=stem, rank=_RANK, predicted=f"{stem}-ezyrb.npy")
    kept: list[_Floats] = []

    def ours() -> float:
        start = time.perf_counter()
        kept.append(_left_out_errors(samples))
        return time.perf_counter() - start

    theirs = peers.ask("ezyrb_loo")
    seconds = middle([ours() for _ in range(3)])
    naive = _naive_errors(samples, range(0, m, 6))
    away = float(np.abs(kept[0][::6] / naive - 1).max())
    report.section(f"Leave-one-out errors of {m} snapshots of {n} values, {_RANK} modes")
    report.note(
        "Ours from the snapshots in memory: basis, regression and all errors. Both interpolate "
        "by radial functions, of other kinds (theirs thin plates, ours cubic), so that the errors "
        "are not the same; ours are compared with new models without the snapshot."
    )
    report.table(
        ["", "s", "mean error", "largest"],
        [
            ["romflow", seconds, _mean(kept[0]), float(kept[0].max())],
            ["EZyRB", theirs["seconds"], theirs["mean"], theirs["largest"]],
        ],
    )
    report.at_least("leave-one-out-against-ezyrb", theirs["seconds"] / seconds, 50)
    report.at_most("leave-one-out-against-leaving-out", away, 1e-6)


def _left_out_errors(samples: Samples) -> _Floats:
    snapshots = ArraySnapshots(samples.space, PARAMETERS, samples.x, samples.rows)
    product = Euclidean(samples.rows.shape[1])
    settings = ReducedModelSettings(rank=_RANK, tolerance=1e-9)
    wide = wide_basis(snapshots, product, settings)
    data = coordinates(snapshots, wide, None, lambda *_: None)
    rng = np.random.default_rng(0)
    own = np.ascontiguousarray(data.values[:, :, :_RANK])
    fitted = _regressor().fit(samples.x, np.zeros(1), own, rng)
    return leave_one_out(data, samples.x, np.zeros(1), _RANK, fitted, rng).errors


def _naive_errors(samples: Samples, places: range) -> _Floats:
    from rom.basis import pod

    errors = []
    for i in places:
        others = np.arange(len(samples.x)) != i
        basis = pod(samples.rows[others], rank=_RANK, method="qr")
        y = basis.coefficients(samples.rows[others])[:, np.newaxis]
        rng = np.random.default_rng(0)
        fitted = _regressor().fit(samples.x[others], np.zeros(1), y, rng)
        field = basis.lift(fitted.predict(samples.x[i : i + 1], np.zeros(1))[0])[0]
        true = samples.rows[i]
        errors.append(np.linalg.norm(field - true) / np.linalg.norm(true))
    return np.array(errors)


def _regressor() -> TimeModes:
    return TimeModes(TimeModesSettings(tolerance=0.0, regressor="rbf"))


def files(report: Report, peers: Peers, folder: Path, model: ReducedModel, n: int) -> None:
    """Compare the sizes of saved models of the same snapshots."""
    save_model(model, folder / "model")
    ours = sum(path.stat().st_size for path in (folder / "model").rglob("*") if path.is_file())
    kept = peers.ask("ezyrb_save", path=str(folder / "ezyrb.rom"))
    report.section("Saved models")
    report.table(
        ["", "MB", "what"],
        [
            ["romflow", ours / 1e6, f"modes in {8 * model.parts.modes.dtype.itemsize} bits, mesh, "
             "regression, trust; safetensors and JSON with checksums"],
            ["EZyRB", kept["bytes"] / 1e6, "pickle, with the snapshots"],
            ["EZyRB, no snapshots", kept["small"] / 1e6, "pickle, `save_db=False`"],
            ["snapshots", n * len(model.parts.points) * 8 / 1e6, ""],
        ],
    )  # fmt: skip
    report.at_most("model-file-against-ezyrb", ours / kept["bytes"], 0.15)


def streamed(report: Report, folder: Path, cells: int, m: int, frames: int) -> None:
    """Compare hierarchical POD with POD of all snapshots, each in a process of its own."""
    write_trajectories(folder, cells, m, frames)
    tolerance = 1e-4
    ours = _in_process(folder, "hierarchical", tolerance)
    batch = _in_process(folder, "batch", tolerance, ours["rank"])
    n = (cells + 1) ** 2
    report.section(f"Hierarchical POD: {m} trajectories of {frames} frames of {n} values")
    report.note(
        f"Tolerance {tolerance:g}. Memory is the peak above what the process had before it read "
        "anything; errors are root mean squares over all snapshots, with as many modes on both "
        f"sides ({ours['rank']}). The batch side is our own POD, which holds all snapshots."
    )
    report.table(
        ["", "peak, MB", "s", "error"],
        [
            [name, found["peak"] / 1e6, found["seconds"], found["error"]]
            for name, found in (("hierarchical", ours), ("batch", batch))
        ],
    )
    report.at_most("hierarchical-error-over-batch", ours["error"] / batch["error"], 1.05)
    report.at_most("hierarchical-memory-over-batch", ours["peak"] / batch["peak"], 0.2)


def _in_process(folder: Path, method: str, tolerance: float, *ranks: int) -> dict:  # type: ignore[type-arg]
    command = [sys.executable, str(ROOT / "_rom_memory.py"), str(folder), method, str(tolerance)]
    found = subprocess.run(
        [*command, *map(str, ranks)], env=one_thread(), check=True, capture_output=True, text=True
    )
    return dict(json.loads(found.stdout.splitlines()[-1]))


def in_time(report: Report, peers: Peers, folder: Path, samples: Samples) -> None:
    """Compare predictions of trajectories at new parameters."""
    rank = 9
    stem = str(samples.save(folder, "time"))
    rows: list[list[object]] = []
    for time_kind in ("modes", "autoregressive"):
        start = time.perf_counter()
        model = model_of(samples, product="euclidean", rank=rank, tolerance=1e-6, time=time_kind)
        built = time.perf_counter() - start
        seconds = middle([_batched(model, samples.test_x[:1], "fields") for _ in range(5)])
        found = model.query(samples.test_x, select="fields").values["u"]
        error = _mean(
            np.linalg.norm(found - samples.test_rows, axis=(1, 2))
            / np.linalg.norm(samples.test_rows, axis=(1, 2))
        )
        rows.append([f"romflow, {time_kind}", error, built, 1e3 * seconds])
    for task in ("pydmd", "opinf"):
        theirs = peers.ask(task, stem=stem, rank=rank, predicted=f"{stem}-{task}.npy")
        found = np.load(f"{stem}-{task}.npy")
        error = _mean(
            np.linalg.norm(found - samples.test_rows, axis=(1, 2))
            / np.linalg.norm(samples.test_rows, axis=(1, 2))
        )
        rows.append([theirs["title"], error, theirs["fit"], 1e3 * theirs["seconds"]])
    m, frames, n = samples.rows.shape
    report.section(f"Trajectories: {m} of {frames} frames of {n} values, {rank} modes")
    report.note(
        "Mean relative errors over whole trajectories at new parameters. The fit of ours includes "
        "the calibration of the indicator."
    )
    report.table(["", "error", "fit, s", "one trajectory, ms"], rows)


def _each(query: Callable[[dict[str, float]], object], mus: list[dict[str, float]]) -> float:
    start = time.perf_counter()
    for mu in mus:
        query(mu)
    return (time.perf_counter() - start) / len(mus)


def _batched(model: ReducedModel, batch: _Floats, select: Select | str) -> float:
    start = time.perf_counter()
    model.query(batch, select=select)
    return (time.perf_counter() - start) / len(batch)


def _mean(values: _Floats) -> float:
    return float(np.mean(values))


def _relative(fields: _Floats, samples: Samples) -> float:
    away = np.linalg.norm(fields - samples.test_rows, axis=1)
    return _mean(away / np.linalg.norm(samples.test_rows, axis=1))


def main() -> int:
    """Compare on snapshots that all sides share."""
    quick = arguments(__doc__).quick
    report = Report(
        "rom_data", "Reduced models from snapshots, beside other libraries", quick=quick
    )
    with tempfile.TemporaryDirectory() as name, Peers() as peers:
        folder = Path(name)
        weighted(report, peers, folder, 400)
        samples = plate(316, 60)
        model = queries(report, peers, folder, samples)
        files(report, peers, folder, model, samples.rows.shape[1])
        left_out(report, peers, folder, plate(170, 60) if quick else samples)
        del model, samples
        in_time(report, peers, folder, trajectories(30, 16, 41))
        streamed(report, folder, *((140, 80, 20) if quick else (316, 60, 30)))
    return report.finish()


if __name__ == "__main__":
    sys.exit(main())
