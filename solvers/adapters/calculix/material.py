r"""Laws as material cards of CalculiX, as far as it can express them.

=====================  ========================================================================
law                    cards
=====================  ========================================================================
thermo-elastic         ``*ELASTIC``, ``*EXPANSION``
linear hardening       and ``*PLASTIC``, a table from :math:`R_0` to :math:`R_0 + 10 H`
viscoplastic           and ``*CREEP,LAW=NORTON`` with :math:`A = K^{-n}` on the stress above the
                       table; the saturating part of the table in 150 pieces, which is within
                       0.06 % of Q
=====================  ========================================================================

CalculiX has no Armstrong-Frederick hardening, raises A below 1e-20 to that value, and interpolates
A in temperature, not K: such laws are refused. Without ``NLGEOM`` strains are small (since
version 2.14), as in our laws.
"""

import numpy as np

from infra.errors import UserError
from solvers.adapters.calculix.cards import card, number
from solvers.laws.coefficients import Table
from solvers.laws.elastoviscoplastic import ElastoViscoPlastic
from solvers.laws.j2 import LinearHardening
from solvers.laws.law import Law
from solvers.laws.thermoelastic import ThermoElastic
from solvers.mesh import FloatArray

__all__ = ["is_viscous", "material_cards"]

_LEAST_RATE = 1e-20
_LARGEST_STRAIN = 10.0
_PIECES = 150


def is_viscous(law: Law) -> bool:
    """Tell whether steps must be ``*VISCO``."""
    return isinstance(law, ElastoViscoPlastic)


def material_cards(law: Law, density: float | None) -> list[str]:
    """Return the lines of a law's material.

    Parameters
    ----------
    law : see the module
    density : tonne/mm^3, if a load needs it

    Raises
    ------
    UserError
        If CalculiX cannot express the law; the message says which part.
    """
    _require_expressible(law)
    warm = _temperatures(law)
    lines = [card("MATERIAL", NAME="LAW"), "*ELASTIC"]
    elasticity = law.elasticity
    young, poisson = elasticity.young.at(warm), elasticity.poisson.at(warm)
    lines += _lines(warm, np.stack([young, poisson], axis=1))
    lines.append(card("EXPANSION", ZERO=number(law.reference_temperature)))
    lines += _lines(warm, elasticity.expansion.at(warm)[:, None])
    if density is not None:
        lines += ["*DENSITY", number(density)]
    lines += _plastic(law, warm)
    if isinstance(law, ElastoViscoPlastic):
        exponent = law.norton_exponent.at(warm)
        rate = law.norton_stress.at(warm) ** -exponent
        lines.append(card("CREEP", LAW="NORTON"))
        lines += _lines(warm, np.stack([rate, exponent, np.zeros_like(rate)], axis=1))
    return lines


def _plastic(law: Law, warm: FloatArray) -> list[str]:
    """Return the table of the yield stress over the accumulated plasticity, if there is one."""
    if isinstance(law, LinearHardening):
        strains = np.array([0.0, _LARGEST_STRAIN])
        return _yield_table(law.yield_stress, law.hardening, warm, strains, None)
    if not isinstance(law, ElastoViscoPlastic) or not _has_domain(law):
        return []
    rate = law.saturation_rate.values[0]
    saturates = rate > 0.0 and max(law.saturation.values) > 0.0
    curve = np.linspace(0.0, min(10.0 / rate, _LARGEST_STRAIN), _PIECES + 1) if saturates else [0.0]
    strains = np.unique([*curve, _LARGEST_STRAIN])
    return _yield_table(law.yield_stress, law.hardening, warm, strains, law)


def _yield_table(
    yield_stress: Table,
    hardening: Table,
    warm: FloatArray,
    strains: FloatArray,
    saturating: ElastoViscoPlastic | None,
) -> list[str]:
    lines = ["*PLASTIC"]
    for place in warm:
        here = np.array([place])
        radius = yield_stress.at(here) + hardening.at(here) * strains
        if saturating is not None:
            fading = np.exp(-saturating.saturation_rate.at(here) * strains)
            radius = radius + saturating.saturation.at(here) * (1.0 - fading)
        pairs = np.stack([radius, strains], axis=1)
        lines += _lines(np.full(len(pairs), place), pairs, single=len(warm) == 1)
    return lines


def _lines(warm: FloatArray, values: FloatArray, *, single: bool | None = None) -> list[str]:
    """Return data lines; the temperature ends each of them unless there is one only."""
    alone = len(warm) == 1 if single is None else single
    table = values if alone else np.column_stack([values, warm])
    return [",".join(number(value) for value in row) for row in table]


def _temperatures(law: Law) -> FloatArray:
    """Return the temperatures (k,) of all tables that vary; one if none does."""
    varying = {t for table in _tables(law) if not table.is_constant for t in table.temperatures}
    return np.array(sorted(varying or {law.reference_temperature}))


def _tables(law: Law) -> list[Table]:
    own = (*vars(law).values(), *vars(law.elasticity).values())
    return [value for value in own if isinstance(value, Table)]


def _has_domain(law: ElastoViscoPlastic) -> bool:
    parts = (law.yield_stress, law.hardening, law.saturation)
    return any(value > 0.0 for part in parts for value in part.values)


def _require_expressible(law: Law) -> None:
    if isinstance(law, ThermoElastic | LinearHardening):
        return
    if not isinstance(law, ElastoViscoPlastic):
        raise _refusal(law, f"the law {law.name}", "a law of the table in its adapter")
    if max(law.kinematic_modulus.values) > 0.0:
        raise _refusal(
            law, "Armstrong-Frederick hardening (kinematic_modulus > 0)", "kinematic_modulus 0"
        )
    for name in ("norton_stress", "norton_exponent", "saturation_rate"):
        if not getattr(law, name).is_constant:
            raise _refusal(law, f"{name} as a function of temperature", f"one value of {name}")
    rate = law.norton_stress.values[0] ** -law.norton_exponent.values[0]
    if rate < _LEAST_RATE:
        raise _refusal(
            law,
            f"A = norton_stress^(-norton_exponent) = {rate:.3g}",
            f"at least {_LEAST_RATE:g}: a smaller exponent or stress",
        )


def _refusal(law: Law, received: str, expected: str) -> UserError:
    return UserError(
        f"CalculiX cannot express this law {law.name}: received {received}; expected {expected}. "
        "Change the law, or use the full-order model"
    )
