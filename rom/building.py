"""From snapshots to a reduced model: scales, basis, regressions, calibration."""

import hashlib
from collections.abc import Callable, Collection, Mapping
from typing import cast

import numpy as np
from numpy.typing import NDArray

from infra.errors import UserError
from infra.records import Json
from rom.basis import Basis
from rom.field_product import FieldProduct, field_product
from rom.field_scales import field_scales
from rom.leave_one_out import Coordinates
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
from rom.representation import Representation, one_basis, regressor_of, with_local_bases
from rom.settings import ReducedModelSettings
from rom.snapshots import Progress, Snapshots
from rom.trust.indicator import Pairs, calibrate
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
    chosen: Collection[int] = (),
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
    chosen
        Samples whose parameters were chosen for their errors, as enrichment does: the model learns
        from them, but the level of its indicator does not count them (`rom.trust.indicator`).

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
    regressor = regressor_of(settings).fit(x, times, own, rng)
    quantities = fit_quantities(snapshots, x, settings.regressor, settings.options, rng)
    tell("calibration", 0, 1)
    found = one_basis(data, wide, rank, x, regressor, rng)
    if settings.local != "never":
        # A generator of its own: the choice changes nothing of a model with one basis.
        found = with_local_bases(found, data, x, settings, rng.spawn(1)[0])
    counted = np.array([index not in chosen for index in snapshots.indices])
    parts = _parts(snapshots, settings, wide, data, found, quantities, regions, counted)
    tell("calibration", 1, 1)
    card = _card(snapshots, settings, space, product, parts, found)
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


def _parts(
    snapshots: Snapshots,
    settings: ReducedModelSettings,
    wide: Basis,
    data: Coordinates,
    found: Representation,
    quantities: QuantityModel,
    regions: Mapping[str, Region],
    counted: NDArray[np.bool_],
) -> ModelParts:
    kind = _precision(settings, found)
    centre = None if wide.centre is None else wide.centre.astype(kind)
    return ModelParts(
        space=snapshots.space,
        modes=found.of_columns(wide.modes).astype(kind),
        centre=centre,
        singular_values=wide.singular_values,
        offset=found.offset(data.offset),
        regressor=found.regressor,
        quantities=quantities,
        points=found.pairs.points,
        coefficients=np.ascontiguousarray(found.of_columns(data.values)),
        indicator=calibrate(found.pairs, settings.level, counted),
        regions=regions,
    )


def _precision(settings: ReducedModelSettings, found: Representation) -> type[np.floating]:
    single = settings.precision == "float32" or (
        settings.precision == "auto" and found.discarded >= _SINGLE
    )
    return np.float32 if single else np.float64


def _card(
    snapshots: Snapshots,
    settings: ReducedModelSettings,
    space: ParameterSpace,
    product: FieldProduct,
    parts: ModelParts,
    found: Representation,
) -> ModelCard:
    times = snapshots.times
    _, text = parts.regressor.state()
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
            rank=found.rank,
            tolerance=settings.tolerance,
            discarded=found.discarded,
            product=product.describe(),
            centred=settings.centre,
            method=settings.method,
            precision="float32" if parts.modes.dtype == np.float32 else "float64",
        ),
        local=found.local,
        regression={"kind": text["kind"], "settings": text["settings"]},
        trust=_trust_card(settings, parts, found.pairs),
        training=TrainingCard(
            trajectories=len(snapshots),
            snapshots=snapshots.n_snapshots,
            digest=_digest(snapshots.mus, parts.coefficients),
        ),
        versions=package_versions(),
        settings=cast(dict[str, Json], settings.model_dump(mode="json")),
        notes=(*_left_out(parts.quantities), *found.notes),
    )


def _left_out(quantities: QuantityModel) -> tuple[str, ...]:
    names = ", ".join(quantities.left_out)
    return (f"Not learnt, for they hold no number somewhere: {names}.",) if names else ()


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
