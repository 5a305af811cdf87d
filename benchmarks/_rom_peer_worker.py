"""Other libraries, in their own environment: reads tasks as lines of JSON, answers with lines.

Each task's libraries are imported when it is asked for. See `_rom_peers.Peers`.
"""

import json
import os
import sys
import time
from importlib.metadata import version
from pathlib import Path

import numpy as np

STATE: dict = {}


def _arrays(stem: str) -> list:
    return [np.load(f"{stem}-{part}.npy") for part in ("x", "rows", "test_x", "times")]


def ezyrb_fit(stem: str, rank: int, predicted: str) -> dict:
    """POD by SVD with radial basis functions."""
    from ezyrb import POD, RBF, Database, ReducedOrderModel

    x, rows, test_x, _ = _arrays(stem)
    start = time.perf_counter()
    rom = ReducedOrderModel(Database(x, rows), POD("svd", rank=rank), RBF()).fit()
    seconds = time.perf_counter() - start
    np.save(predicted, np.asarray(rom.predict(test_x)))
    STATE["rom"] = rom
    return {"version": version("ezyrb"), "seconds": seconds}


def ezyrb_query(count: int) -> dict:
    """One field after the other."""
    rom, points = STATE["rom"], np.random.default_rng(0).random((count, 2))
    start = time.perf_counter()
    for point in points:
        rom.predict(point)
    return {"seconds": (time.perf_counter() - start) / count}


def ezyrb_batch(count: int) -> dict:
    """Many fields at once; seconds of one."""
    rom, points = STATE["rom"], np.random.default_rng(0).random((count, 2))
    start = time.perf_counter()
    rom.predict(points)
    return {"seconds": (time.perf_counter() - start) / count}


def ezyrb_loo() -> dict:
    """Leave-one-out errors."""
    start = time.perf_counter()
    errors = STATE["rom"].loo_error()
    seconds = time.perf_counter() - start
    return {"seconds": seconds, "mean": float(errors.mean()), "largest": float(errors.max())}


def ezyrb_save(path: str) -> dict:
    """Size of a saved model, as the library saves it and without its snapshots."""
    rom = STATE["rom"]
    rom.save(path)
    whole = Path(path).stat().st_size
    try:
        rom.save(path, save_db=False)
        small = Path(path).stat().st_size
    except Exception:  # noqa: BLE001 - the option fails in some versions
        small = float("nan")
    return {"bytes": whole, "small": small}


def pymor(stem: str, rank: int, product: str, regressor: str, predicted: str) -> dict:
    """POD with regression; `product`: none, mass, or mass for the basis too."""
    from pymor.core.logger import set_log_levels
    from pymor.operators.numpy import NumpyMatrixOperator
    from pymor.parameters.base import Parameters
    from pymor.reductors.data_driven import DataDrivenPODReductor
    from pymor.vectorarrays.numpy import NumpyVectorSpace
    from scipy.sparse import csr_matrix
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import Matern
    from sklearn.preprocessing import StandardScaler

    set_log_levels({"pymor": "ERROR"})
    x, rows, test_x, _ = _arrays(stem)
    kept = np.load(f"{stem}-mass.npz")
    mass = NumpyMatrixOperator(csr_matrix((kept["data"], kept["indices"], kept["indptr"])))
    space, parameters = NumpyVectorSpace(rows.shape[1]), Parameters({"x": 2})
    own = {"modes": rank, "rtol": 0.0}
    options: dict = {} if product == "none" else {"product": mass}
    if product == "mass, twice":
        own["product"] = mass
    if regressor == "gp":
        kernel = Matern(length_scale=[0.5, 0.5], nu=2.5, length_scale_bounds=(1e-2, 1e2))
        options["regressor"] = GaussianProcessRegressor(kernel, alpha=1e-10, n_restarts_optimizer=2)
        options["output_scaler"] = StandardScaler()
    start = time.perf_counter()
    reductor = DataDrivenPODReductor(
        [parameters.parse(list(point)) for point in x],
        space.from_numpy(rows.T),
        pod_params=own,
        **options,
    )
    rom = reductor.reduce()
    seconds = time.perf_counter() - start
    found = [reductor.reconstruct(rom.solve(parameters.parse(list(p)))).to_numpy() for p in test_x]
    np.save(predicted, np.concatenate(found, axis=1).T)
    return {"version": version("pymor"), "seconds": seconds}


def pydmd(stem: str, rank: int, predicted: str) -> dict:
    """Parametric DMD, monolithic, with EZyRB's POD and radial basis functions."""
    from ezyrb import POD, RBF
    from pydmd import DMD, ParametricDMD

    x, rows, test_x, _ = _arrays(stem)
    start = time.perf_counter()
    model = ParametricDMD(DMD(svd_rank=0), POD("svd", rank=rank), RBF())
    model.fit(rows.transpose(0, 2, 1), x)  # parameters, space, time
    fit = time.perf_counter() - start
    seconds = []
    for i in range(5):
        start = time.perf_counter()
        model.parameters = test_x[i : i + 1]
        _ = model.reconstructed_data
        seconds.append(time.perf_counter() - start)
    model.parameters = test_x
    found = np.asarray(model.reconstructed_data).real
    np.save(predicted, found.transpose(0, 2, 1))
    title = f"PyDMD {version('pydmd')}, parametric DMD"
    return {"title": title, "fit": fit, "seconds": sorted(seconds)[2]}


def opinf(stem: str, rank: int, predicted: str) -> dict:
    """Operator inference, linear and affine in the parameters, the regularisation searched."""
    import opinf

    x, rows, test_x, times = _arrays(stem)
    states = [frames.T for frames in rows]
    start = time.perf_counter()
    rom = opinf.ParametricROM(
        basis=opinf.basis.PODBasis(num_vectors=rank),
        ddt_estimator=opinf.ddt.UniformFiniteDifferencer(times, "ord6"),
        model=opinf.models.ParametricContinuousModel(
            operators=[opinf.operators.AffineLinearOperator(coeffs=_affine, nterms=3)],
            solver=opinf.lstsq.L2Solver(regularizer=1e-8),
        ),
    )
    rom.fit(parameters=list(x), states=states)
    fit = time.perf_counter() - start
    # Initial states are given: they are those of the truth, which a user would have to know.
    first = [frames[0] for frames in np.load(f"{stem}-test_rows.npy")]
    seconds, found = [], []
    for point, begin in zip(test_x, first, strict=True):
        start = time.perf_counter()
        found.append(rom.predict(point, begin, times, method="BDF", max_step=0.02).T)
        seconds.append(time.perf_counter() - start)
    np.save(predicted, np.stack(found))
    title = f"opinf {version('opinf')}, affine, with the true first state"
    return {"title": title, "fit": fit, "seconds": sorted(seconds)[len(seconds) // 2]}


def _affine(point: np.ndarray) -> np.ndarray:
    return np.r_[1.0, point]


TASKS = {
    f.__name__: f
    for f in (ezyrb_fit, ezyrb_query, ezyrb_batch, ezyrb_loo, ezyrb_save, pymor, pydmd, opinf)
}


def main() -> None:
    """Answer until there is no more to read."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print goes elsewhere
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer = TASKS[request.pop("task")](**request)
        except Exception as error:  # noqa: BLE001 - the other side reports it
            answer = {"error": f"{type(error).__name__}: {error}"}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
