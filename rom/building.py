"""From snapshots to a reduced model: scales, basis, regressions, calibration."""

import hashlib
from collections.abc import Callable, Mapping
from typing import cast

import numpy as np
from numpy.typing import NDArray

from infra.errors import UserError
from infra.records import Json
from rom.basis import Basis
from rom.field_product import FieldProduct, field_product
from rom.field_scales import field_scales
from rom.leave_one_out import Coordinates, leave_one_out
from rom.model_card import (
    BasisCard,
    FieldCard,
    ModelCard,
    ParameterCard,
    QuantityCard,
    TimesCard,
    TrainingCard,
    TrustCard,
    mesh_digest,
    package_versions,
    utc_now,
)
from rom.model_parts import ModelParts
from rom.parameter_map import ParameterMap
from rom.quantity_model import QuantityModel, fit_quantities
from rom.reduced_model import ReducedModel
from rom.regions import Region, check_regions
from rom.regression.time_registry import make_time_regressor
from rom.regression.time_regressor import TimeRegressor
from rom.settings import ReducedModelSettings
from rom.snapshots import Progress, Snapshots
from rom.trust.indicator import Pairs, calibrate
from rom.trust.statistic import Offset
from rom.wide_basis import coordinates, model_rank, wide_basis
from solvers.parameters import Parameter, ParameterSpace

__all__ = ["BuildProgress", "build", "space_of_snapshots"]

type _Floats = NDArray[np.float64]
# Called with the name of the stage, how much of it is done, and of how much.
type BuildProgress = Callable[[str, int, int], None]

_FEWEST = 4
# From this projection error on, modes of 32 bits lose no digit that counts.
_SINGLE = 1e-5


def build(
    snapshots: Snapshots,
    settings: ReducedModelSettings,
    rng: np.random.Generator,
    progress: BuildProgress | None = None,
    *,
    name: str = "model",
    description: str = "",
    parameters: ParameterSpace | None = None,
    regions: Mapping[str, Region] | None = None,
    lineage: Mapping[str, Json] | None = None,
) -> ReducedModel:
    """Return a reduced model of all trajectories.

    Parameters
    ----------
    snapshots
        Read three times, one trajectory at a time (twice and all at once for the method
        ``batch``).
    settings
        How it is built.
    rng
        Source of all random choices.
    progress
        Told how far it is.
    name, description
        Of the model.
    parameters
        Bounds, scales and descriptions; by default linear between the snapshots' bounds.
    regions
        Named parts of the mesh.
    lineage
        Where the data come from: dataset, its digest, solver and versions, as JSON.

    Raises
    ------
    UserError
        If there are too few trajectories, all are the same, the memory is too small, or a
        setting does not fit the data.
    """
    space = parameters or space_of_snapshots(snapshots)
    x = _unit_points(snapshots, space)
    regions = dict(regions or {})
    check_regions(regions, snapshots.space)
    tell = progress or _silent
    product = _product(snapshots, settings, _stage(tell, "scales"))
    wide = wide_basis(snapshots, product, settings, _stage(tell, "basis"))
    rank = model_rank(wide, settings)
    data = coordinates(snapshots, wide, settings.memory, _stage(tell, "coefficients"))
    times = snapshots.times
    own = np.ascontiguousarray(data.values[:, :, :rank])
    tell("regression", 0, 1)
    regressor = _regressor(settings).fit(x, times, own, rng)
    quantities = fit_quantities(snapshots, x, settings.regressor, settings.options, rng)
    tell("calibration", 0, 1)
    pairs = leave_one_out(data, x, times, rank, regressor, rng)
    parts = _parts(snapshots, settings, wide, rank, data, regressor, quantities, pairs, regions)
    tell("calibration", 1, 1)
    card = _card(snapshots, settings, space, product, parts, pairs, wide.truncated(rank))
    card = card.model_copy(
        update={"name": name, "description": description, "lineage": dict(lineage or {})}
    )
    return ReducedModel(card, parts)


def space_of_snapshots(snapshots: Snapshots) -> ParameterSpace:
    """Return the parameters of snapshots, all on linear scales."""
    columns = zip(snapshots.names, snapshots.bounds.tolist(), snapshots.units, strict=True)
    return ParameterSpace(
        tuple(Parameter(name, low, high, unit, "") for name, (low, high), unit in columns)
    )


def _unit_points(snapshots: Snapshots, space: ParameterSpace) -> _Floats:
    if set(space.names) != set(snapshots.names):
        raise UserError(
            f"Expected the parameters of the snapshots, {list(snapshots.names)}; received "
            f"{list(space.names)}."
        )
    mus = [dict(zip(snapshots.names, row, strict=True)) for row in snapshots.mus.tolist()]
    x = ParameterMap(space).units(space.array(mus))
    fewest = max(_FEWEST, x.shape[1] + 3)
    distinct = len(np.unique(x, axis=0))
    if distinct < fewest:
        raise UserError(
            f"Expected trajectories for at least {fewest} different parameters to build and "
            f"calibrate a model with {x.shape[1]} of them; received {distinct}. Compute more "
            "samples, or fix a parameter."
        )
    return x


def _product(
    snapshots: Snapshots, settings: ReducedModelSettings, progress: Progress
) -> FieldProduct:
    scales = (
        field_scales(
            snapshots, centre=settings.centre, memory=settings.memory, progress=progress
        )
        if settings.scales == "auto"
        else settings.scales
    )  # fmt: skip
    return field_product(snapshots.space, settings.product, scales, settings.length)


def _regressor(settings: ReducedModelSettings) -> TimeRegressor:
    if settings.time == "autoregressive":
        own: dict[str, Json] = {"regressor": settings.regressor, "options": settings.options}
        return make_time_regressor("operator-inference", own)
    # The parts of the tolerance add up as squares.
    tolerance = settings.time_tolerance
    return make_time_regressor(
        "time-modes",
        {
            "tolerance": settings.tolerance if tolerance is None else tolerance,
            "regressor": settings.regressor,
            "options": settings.options,
        },
    )


def _parts(
    snapshots: Snapshots,
    settings: ReducedModelSettings,
    wide: Basis,
    rank: int,
    data: Coordinates,
    regressor: TimeRegressor,
    quantities: QuantityModel,
    pairs: Pairs,
    regions: Mapping[str, Region],
) -> ModelParts:
    kind = _precision(settings, wide.truncated(rank))
    centre = None if wide.centre is None else wide.centre.astype(kind)
    return ModelParts(
        space=snapshots.space,
        modes=wide.modes[:, :rank].astype(kind),
        centre=centre,
        singular_values=wide.singular_values,
        offset=Offset(data.offset.square, data.offset.slope[:rank].copy()),
        regressor=regressor,
        quantities=quantities,
        points=pairs.points,
        coefficients=np.ascontiguousarray(data.values[:, :, :rank]),
        indicator=calibrate(pairs, settings.level),
        regions=regions,
    )


def _precision(settings: ReducedModelSettings, basis: Basis) -> type[np.floating]:
    single = settings.precision == "float32" or (
        settings.precision == "auto" and basis.discarded >= _SINGLE
    )
    return np.float32 if single else np.float64


def _card(
    snapshots: Snapshots,
    settings: ReducedModelSettings,
    space: ParameterSpace,
    product: FieldProduct,
    parts: ModelParts,
    pairs: Pairs,
    basis: Basis,
) -> ModelCard:
    times = snapshots.times
    _, text = parts.regressor.state()
    left_out = parts.quantities.left_out
    return ModelCard(
        name="model",
        created=utc_now(),
        parameters=tuple(
            ParameterCard(
                name=p.name,
                unit=p.unit,
                low=p.low,
                high=p.high,
                scale=p.scale,
                description=p.description,
            )
            for p in space.parameters
        ),
        fields=tuple(
            FieldCard(name=f.name, unit=f.units, location=f.location, size=f.size)
            for f in snapshots.space.fields
        ),
        quantities=_quantity_cards(parts.quantities),
        times=TimesCard(first=times[0], last=times[-1], count=len(times)),
        regions=tuple(parts.regions),
        mesh=mesh_digest(snapshots.space),
        basis=BasisCard(
            rank=basis.rank,
            tolerance=settings.tolerance,
            discarded=basis.discarded,
            product=product.describe(),
            centred=settings.centre,
            method=settings.method,
            precision="float32" if parts.modes.dtype == np.float32 else "float64",
        ),
        regression={"kind": text["kind"], "settings": text["settings"]},
        trust=_trust_card(settings, parts, pairs),
        training=TrainingCard(
            trajectories=len(snapshots),
            snapshots=snapshots.n_snapshots,
            digest=_digest(snapshots.mus, parts.coefficients),
        ),
        versions=package_versions(),
        settings=cast(dict[str, Json], settings.model_dump(mode="json")),
        notes=(
            (f"Not learnt, for they hold no number somewhere: {', '.join(left_out)}.",)
            if left_out
            else ()
        ),
    )


def _quantity_cards(quantities: QuantityModel) -> tuple[QuantityCard, ...]:
    series = () if quantities.series is None else quantities.series.names
    return tuple(
        QuantityCard(
            name=name, unit=unit, per_time=name in series, error=quantities.errors[name]
        )
        for name, unit in quantities.units.items()
    )  # fmt: skip


def _trust_card(settings: ReducedModelSettings, parts: ModelParts, pairs: Pairs) -> TrustCard:
    known = parts.indicator.calibration
    features = "regression deviation and distance" if pairs.statistics is not None else "distance"
    return TrustCard(
        kind=f"leave-one-trajectory-out, cross-conformal, from {features}",
        level=known.level,
        coverage=known.reached,
        measured_coverage=known.covered,
        sharpness=known.sharpness,
        pairs=known.n_pairs,
        median_error=float(np.median(pairs.errors)),
        largest_error=float(pairs.errors.max()),
        range_factor=settings.range_factor,
        policy=settings.policy,
    )


def _digest(mus: _Floats, coefficients: _Floats) -> str:
    digest = hashlib.sha256()
    for array in (mus, coefficients):
        digest.update(np.ascontiguousarray(array, "<f8").tobytes())
    return digest.hexdigest()


def _stage(progress: BuildProgress, stage: str) -> Progress:
    return lambda done, total: progress(stage, done, total)


def _silent(stage: str, done: int, total: int) -> None:
    """Tell nobody."""
