"""The regressors of trajectories by name. A new one is a subclass and a line here."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from numpy.typing import NDArray

from infra.records import Json
from rom.local_modes import LocalModes
from rom.operator_inference import OperatorInference
from rom.regression.settings import checked_settings, kind_of_state, require_known
from rom.regression.time_regressor import TimeRegressor
from rom.time_modes import TimeModes

__all__ = ["TIME_REGRESSORS", "make_time_regressor", "time_regressor_from_state"]

TIME_REGRESSORS: Mapping[str, type[TimeRegressor]] = MappingProxyType(
    {kind.name: kind for kind in (TimeModes, LocalModes, OperatorInference)}
)


def make_time_regressor(name: str, settings: Mapping[str, Json] | None = None) -> TimeRegressor:
    """Return a regressor of trajectories that has not been fitted.

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
    require_known(name, TIME_REGRESSORS, "regressor of trajectories")
    kind = TIME_REGRESSORS[name]
    return kind(checked_settings(name, kind.Settings, settings))


def time_regressor_from_state(
    arrays: Mapping[str, NDArray[Any]], text: Mapping[str, Json]
) -> TimeRegressor:
    """Return the regressor of trajectories of a state of any kind.

    Raises
    ------
    StoreError
        If the kind is unknown, or entries are missing or do not fit.
    """
    return kind_of_state(text, TIME_REGRESSORS).from_state(arrays, text)
