"""The regressors by name. A new one is a subclass of `Regressor` and a line here."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from numpy.typing import NDArray

from infra.records import Json
from rom.regression.estimator import Estimator
from rom.regression.gp import GaussianProcess
from rom.regression.neural import Neural
from rom.regression.rbf import RadialBasis
from rom.regression.regressor import Regressor
from rom.regression.settings import checked_settings, kind_of_state, require_known

__all__ = ["REGRESSORS", "make_regressor", "regressor_from_state"]

REGRESSORS: Mapping[str, type[Regressor]] = MappingProxyType(
    {kind.name: kind for kind in (GaussianProcess, RadialBasis, Neural, Estimator)}
)


def make_regressor(name: str, settings: Mapping[str, Json] | None = None) -> Regressor:
    """Return a regressor that has not been fitted.

    Parameters
    ----------
    name
        Of the method.
    settings
        Entries of its settings; those left out have their defaults.

    Raises
    ------
    UserError
        If the name or an entry is wrong; the message lists names or every wrong entry.
    """
    require_known(name, REGRESSORS, "regressor")
    kind = REGRESSORS[name]
    return kind(checked_settings(name, kind.Settings, settings))


def regressor_from_state(arrays: Mapping[str, NDArray[Any]], text: Mapping[str, Json]) -> Regressor:
    """Return the regressor of a state of any kind.

    Raises
    ------
    StoreError
        If the kind is unknown, or entries are missing or do not fit.
    """
    return kind_of_state(text, REGRESSORS).from_state(arrays, text)
