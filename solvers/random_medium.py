r"""Random permeability of porous media: a Gaussian random field and a contrast C as parameters.

- ``log-normal``: :math:`K = C^{(g - \min g) / (\max g - \min g)}`, so that
  :math:`\max K / \min K = C` in every sample;
- ``two-valued``: :math:`K = C` where :math:`g > 0`, else 1.

The fields g are those of Li et al. (2020, arXiv:2010.08895), whose data are two-valued with C = 4.
"""

from collections.abc import Mapping, Sequence
from typing import Literal, final

import numpy as np
from pydantic import Field

from infra.errors import UserError
from solvers.fields import CosineTables, RandomField
from solvers.mesh import FloatArray
from solvers.parameters import Parameter, ParameterSpace
from solvers.problem import ProblemSettings

__all__ = ["RandomMedium", "RandomMediumSettings", "permeability", "require_variation"]

type PermeabilityKind = Literal["log-normal", "two-valued"]

_LARGEST_CONTRAST = 1e4


@final
class RandomMediumSettings(ProblemSettings):
    """Resolution, and the statistics of the permeability."""

    dimension: Literal[2, 3] = Field(2, description="2 (unit square) or 3 (unit cube)")
    cells: int = Field(64, ge=2, le=1024, description="cells along each side")
    kind: PermeabilityKind = Field("log-normal", description="log-normal or two-valued")
    modes: int = Field(64, ge=1, le=4096, description="modes of the random field")
    tau: float = Field(3.0, gt=0, le=100.0, description="inverse correlation length, 1/m")
    alpha: float = Field(2.0, gt=1, le=10.0, description="smoothness, more than dimension / 2")


@final
class RandomMedium:
    """Parameters of a random medium, and its permeability.

    Parameters
    ----------
    settings : kind and statistics

    Attributes
    ----------
    field : the random field
    """

    def __init__(self, settings: RandomMediumSettings) -> None:
        self._kind = settings.kind
        self.field = RandomField(settings.dimension, settings.modes, settings.tau, settings.alpha)

    @property
    def defaults(self) -> Mapping[str, float]:
        """Contrast 25, and the smoothest mode alone."""
        return {"contrast": 25.0, **self.field.defaults}

    @property
    def space(self) -> ParameterSpace:
        """Contrast and coefficients."""
        text = "largest over smallest permeability"
        contrast = Parameter("contrast", 1.0, _LARGEST_CONTRAST, "1", text, "log")
        return ParameterSpace((contrast, *self.field.parameters))

    def features(self, mus: Sequence[Mapping[str, float]]) -> FloatArray:
        r"""Return features (n, modes + 1): their distance is that of the logarithms of K.

        The weights :math:`\sqrt{\lambda_i} \xi_i`, scaled such that a random field has the norm
        one, and the logarithm of the contrast in standard deviations over its bounds.
        """
        scale = np.linalg.norm(self.field.amplitudes)
        rows = np.stack([self.field.coefficients(mu) for mu in mus]) / scale
        spread = np.log(_LARGEST_CONTRAST) / np.sqrt(12.0)
        return np.column_stack([rows, np.log([mu["contrast"] for mu in mus]) / spread])

    def permeability(self, mu: Mapping[str, float], tables: CosineTables) -> FloatArray:
        """Return K at the points of `tables`, from 1 to the contrast."""
        return permeability(self.field.evaluate(mu, tables), mu["contrast"], self._kind)


def permeability(field: FloatArray, contrast: float, kind: PermeabilityKind) -> FloatArray:
    """Return K of the shape of `field`, from 1 to `contrast`; see the module."""
    if kind == "two-valued":
        return np.where(np.isnan(field), np.nan, np.where(field > 0, contrast, 1.0))
    low, high = field.min(), field.max()
    return np.asarray(contrast ** ((field - low) / (high - low)))


def require_variation(field: RandomField, mu: Mapping[str, float]) -> None:
    """Refuse coefficients that are all zero.

    Raises
    ------
    UserError
    """
    if not any(mu[name] for name in field.names):
        raise UserError(
            f"expected a coefficient {field.names[0]} ... that is not zero, received only zeros: "
            "the field would have no variation. Give one of them a value."
        )
