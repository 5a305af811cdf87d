"""The numbers of a reduced model as one row of doubles, in the order of ``fmu_source/reader.c``."""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from infra.errors import UserError
from rom.basis import RestrictedBasis
from rom.reduced_model import ReducedModel
from rom.regression.gp import GaussianProcess
from rom.regression.rbf import RadialBasis
from rom.regression.regressor import Regressor
from rom.regression.time_regressor import TimeRegressor
from rom.time_modes import TimeModes
from rom.trust.statistic import Statistic
from solvers.parameters import Parameter
from solvers.scales import normal_mass

__all__ = ["Output", "model_numbers"]

type _Floats = NDArray[np.float64]
type _Part = _Floats | Sequence[float] | float

_FORMAT = 2.0
_SCALES = {"linear": 0.0, "log": 1.0, "normal": 2.0}
_SOURCES = {
    "series": 0, "single": 1, "lifted": 2, "indicator": 3, "in_range": 4, "score": 5, "distance": 6
}  # fmt: skip


@final
@dataclass(frozen=True)
class Output:
    """A variable that the FMU computes.

    Attributes
    ----------
    name, unit, description
        As the model description shows them.
    source
        ``series`` and ``single``: a quantity of interest; ``lifted``: a value of a field;
        ``indicator``, ``in_range``, ``score``, ``distance``: the trust.
    index
        Place in its source.
    """

    name: str
    unit: str
    description: str
    source: str
    index: int = 0


def model_numbers(
    model: ReducedModel, outputs: Sequence[Output], lifted: RestrictedBasis | None
) -> _Floats:
    """Return all numbers that an FMU of the model needs.

    Parameters
    ----------
    model
        The model.
    outputs
        What it computes.
    lifted
        Rows of the modes for outputs of the source ``lifted``.

    Raises
    ------
    UserError
        If the model's regressors are others than Gaussian processes or radial bases in time modes.
    """
    parts = model.parts
    trained = model.trust.trained
    numbers: list[_Part] = [len(model.parameters.names), len(outputs)]
    for parameter in model.parameters.space.free:
        numbers += _input(parameter)
    for output in outputs:
        numbers += [_SOURCES[output.source], output.index]
    numbers += [model.times[0], model.times[-1], len(trained.points), trained.points]
    numbers += [trained.factor * trained.spacing, trained.spacing]
    for group in (parts.quantities.series, parts.quantities.single):
        if group is None:
            numbers.append(0.0)
        else:
            numbers += _block(group.regressor, group.scale, group.mean)
    numbers += _block(parts.regressor, np.ones(model.rank), np.zeros(model.rank))
    numbers += _trust(model)
    numbers += _rows(lifted, model.rank)
    rest = np.concatenate([np.ravel(np.asarray(part, np.float64)) for part in numbers])
    head = np.array([_FORMAT, zlib.crc32(rest.astype("<f8").tobytes())], np.float64)
    return np.concatenate([head, rest])


def _input(parameter: Parameter) -> list[_Part]:
    low, high = parameter.low, parameter.high
    extra = 1.0
    if parameter.scale == "log":
        extra = float(np.log1p((high - low) / low))
    if parameter.scale == "normal":
        extra = float(normal_mass(np.array(low), np.array(high)))
    return [_SCALES[parameter.scale], low, high - low, extra, (low + high) / 2]


def _block(regressor: TimeRegressor, scale: _Floats, shift: _Floats) -> list[_Part]:
    if not isinstance(regressor, TimeModes):
        raise _not_supported(regressor.name)
    places, curves = regressor.places, regressor.curves
    pieces, terms, columns = curves.polynomials.shape
    # The file has as many mode columns as the widest row; missing ones are zero already.
    assert columns == places.shape[0] * (1 + places.shape[1])
    return [
        1.0, *_regression(regressor.regressor), *places.shape, np.asarray(places, np.float64),
        scale, shift, pieces, terms - 1, curves.starts, curves.polynomials,
    ]  # fmt: skip


def _regression(regressor: Regressor) -> list[_Part]:
    if not isinstance(regressor, GaussianProcess | RadialBasis):
        raise _not_supported(regressor.name)
    arrays, _ = regressor.state()
    if isinstance(regressor, GaussianProcess):
        method, kernels, own = 0, len(arrays["fit.noises"]), _process(regressor, arrays)
    else:
        method, kernels, own = 1, 0, _spline(regressor, arrays)
    points = arrays["fit.points"]
    sizes = [method, regressor.n_outputs, kernels, len(points)]
    return [*sizes, arrays["mean"], arrays["scale"], points, arrays["fit.weights"].T, *own]


def _process(regressor: GaussianProcess, arrays: dict[str, NDArray[np.float64]]) -> list[_Part]:
    amplitudes, noises = arrays["fit.amplitudes"], arrays["fit.noises"]
    factors = regressor.inverse_factors
    packed = factors[:, *np.tril_indices(factors.shape[1])]
    return [
        5.0 / arrays["fit.lengths"] ** 2, amplitudes + noises, amplitudes**2, noises,
        arrays["fit.variances"], packed.shape[1], packed,
    ]  # fmt: skip


def _spline(regressor: RadialBasis, arrays: dict[str, NDArray[np.float64]]) -> list[_Part]:
    power, sign, monomials = regressor.form
    exponents = np.asarray(monomials.powers, np.float64)
    return [power, sign, len(monomials), exponents, arrays["fit.tail"]]


def _trust(model: ReducedModel) -> list[_Part]:
    indicator, offset = model.parts.indicator, model.parts.offset
    fit = indicator.fit
    numbers: list[_Part] = [
        len(indicator.floors), fit.beta, indicator.floors, indicator.calibration.quantile,
        fit.width, fit.part, len(fit.residuals), fit.residuals,
    ]  # fmt: skip
    if not indicator.with_statistic:
        return numbers
    regressor = model.parts.regressor
    assert isinstance(regressor, TimeModes)
    statistic = Statistic(regressor.times)
    terms = regressor.watch_terms(statistic.places, statistic.weights, offset.slope)
    return [
        *numbers, offset.square, terms.constant, len(terms.once), terms.above, terms.twice,
        terms.once,
    ]  # fmt: skip


def _rows(lifted: RestrictedBasis | None, rank: int) -> list[_Part]:
    if lifted is None:
        return [0.0]
    modes = np.asarray(lifted.modes, np.float64)
    centre = np.zeros(len(modes)) if lifted.centre is None else lifted.centre
    assert modes.shape[1] == rank
    return [len(modes), np.asarray(centre, np.float64), modes]


def _not_supported(name: str) -> UserError:
    return UserError(
        "Expected a model of Gaussian processes (`gp`) or radial bases (`rbf`) on one basis with "
        f"time `modes`, which an FMU can hold; received one of {name!r}. Build it again with "
        "`--set model.regressor=gp --set model.time=modes --set model.local=never`."
    )
