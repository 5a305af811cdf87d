r"""Errors of predictions, as people report them.

.. math:: \epsilon_f = \frac{\lVert \hat u_f - u_f \rVert_2}{\lVert u_f \rVert_2}

for each field f, with the plain sum over its values.
"""

import torch
from torch import Tensor

from infra.errors import UserError
from infra.field_space import FieldSpace

__all__ = ["relative_error", "trajectory_error"]


def relative_error(prediction: Tensor, target: Tensor, space: FieldSpace) -> Tensor:
    """Return the relative L2 error of each frame and field.

    Parameters
    ----------
    prediction, target
        Frames, (..., n).
    space
        Their fields.

    Returns
    -------
    Tensor
        (..., F) float64; 0 where both are zero, infinite where only the target is.

    Raises
    ------
    UserError
        If a shape does not fit.
    """
    wrong, size = _squares(prediction, target, space)
    return _ratio(wrong, size)


def trajectory_error(prediction: Tensor, target: Tensor, space: FieldSpace) -> Tensor:
    """Return the relative L2 error of each trajectory and field, over all its times at once.

    A trajectory that starts from rest has frames without size, so that its frames' relative
    errors say little; this one is safe then.

    Parameters
    ----------
    prediction, target
        Trajectories, (..., T, n).
    space
        Their fields.

    Returns
    -------
    Tensor
        (..., F) float64.

    Raises
    ------
    UserError
        If a shape does not fit.
    """
    wrong, size = _squares(prediction, target, space)
    return _ratio(wrong.sum(dim=-2), size.sum(dim=-2))


def _squares(prediction: Tensor, target: Tensor, space: FieldSpace) -> tuple[Tensor, Tensor]:
    if prediction.shape != target.shape or target.shape[-1:] != (space.n_values,):
        raise UserError(
            f"Expected prediction and target of one shape (..., {space.n_values}); received "
            f"{tuple(prediction.shape)} and {tuple(target.shape)}."
        )
    wrong, size = (prediction.double() - target.double()).square(), target.double().square()
    return _sums(wrong, space), _sums(size, space)


def _sums(squares: Tensor, space: FieldSpace) -> Tensor:
    return torch.stack(
        [part.sum(dim=-1) for part in torch.split(squares, list(space.sizes), dim=-1)], dim=-1
    )


def _ratio(wrong: Tensor, size: Tensor) -> Tensor:
    # 0 / 0 would be no number, though nothing is wrong there.
    return (wrong / size).where(wrong > 0, 0.0).sqrt()
