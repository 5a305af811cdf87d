r"""Running mean and standard deviation of each field, kept inside the surrogate.

For values :math:`u_{bi}` of one field (sample b with weight :math:`w_b`, place i of n),

.. math::
   W = \sum_b w_b, \quad
   m = \frac{1}{W n} \sum_{bi} w_b u_{bi}, \quad
   s^2 = \frac{1}{W n} \sum_{bi} w_b (u_{bi} - m)^2,

and, with states v to go on from, the mean square change
:math:`c^2 = \sum_{bi} w_b (u_{bi} - v_{bi})^2 / (W n)`. Batches are merged pairwise, so that the
result does not depend on how the data were split (but for rounding in float64).

References
----------
T. F. Chan, G. H. Golub, R. J. LeVeque: Algorithms for computing the sample variance. The American
Statistician 37 (1983) 242-247, doi:10.1080/00031305.1983.10483115. B. P. Welford: Note on a method
for calculating corrected sums of squares and products. Technometrics 4 (1962) 419-420,
doi:10.1080/00401706.1962.10490022.
"""

from typing import final

import torch
from torch import Tensor, nn

from infra.errors import UserError

__all__ = ["Normalisation"]

# Below this share of its mean a field's deviation is the rounding of float32 numbers.
_ROUNDING = 2e-7
# The change of a field counts as at least this share of its deviation.
_STILL = 1e-3


@final
class Normalisation(nn.Module):
    """Statistics of F fields over frames of n values; its state is saved with the weights.

    Parameters
    ----------
    sizes
        Sizes of the fields, in the order of the frame.
    """

    weight: Tensor
    mean: Tensor
    square: Tensor
    change: Tensor
    frozen: Tensor
    place: Tensor

    def __init__(self, sizes: tuple[int, ...]) -> None:
        super().__init__()
        self._sizes = sizes
        self._has_data = False
        n_fields = len(sizes)
        self.register_buffer("weight", torch.zeros((), dtype=torch.float64))
        self.register_buffer("mean", torch.zeros(n_fields, dtype=torch.float64))
        self.register_buffer("square", torch.zeros(n_fields, dtype=torch.float64))
        self.register_buffer("change", torch.zeros(n_fields, dtype=torch.float64))
        self.register_buffer("frozen", torch.tensor(False))
        field = torch.repeat_interleave(torch.arange(n_fields), torch.tensor(sizes))
        self.register_buffer("place", field, persistent=False)

    @torch.no_grad()
    def moments(self, target: Tensor, state: Tensor | None, weight: Tensor) -> Tensor:
        """Return the moments of a batch, to be merged here or after a sum over processes.

        Parameters
        ----------
        target, state
            Frames (B, n); without states the change is 0.
        weight
            Of the samples, (B,).

        Returns
        -------
        Tensor
            (4, F) float64: total weight, mean, mean square deviation, mean square change.
        """
        wide = weight.to(torch.float64)
        total = wide.sum()
        share = wide / torch.where(total > 0, total, 1.0)
        parts = []
        for i, values in enumerate(torch.split(target, list(self._sizes), dim=1)):
            values = values.to(torch.float64)
            mean = (share @ values).mean()
            square = (share @ (values - mean).square()).mean()
            change = torch.zeros_like(mean)
            if state is not None:
                old = torch.split(state, list(self._sizes), dim=1)[i]
                change = (share @ (values - old).square()).mean()
            parts.append(torch.stack([total, mean, square, change]))
        return torch.stack(parts, dim=1)

    @torch.no_grad()
    def merge(self, moments: Tensor) -> None:
        """Take the moments of further data in; nothing happens once it is frozen.

        Parameters
        ----------
        moments
            (4, F) float64, as `moments` returns them.
        """
        added, mean, square, change = moments.to(self.mean.device)
        # No branch: asking a GPU for the flag would wait for everything before.
        added = torch.where(self.frozen, 0.0, added)
        total = self.weight + added[0]
        share = added / torch.where(total > 0, total, 1.0)
        step = mean - self.mean
        # The old part is scaled by 1 - share, the new one by share; the means differ by `step`.
        self.square.lerp_(square, share).add_(share * (1 - share) * step.square())
        self.change.lerp_(change, share)
        self.mean.add_(share * step)
        self.weight.copy_(total)

    def freeze(self) -> None:
        """Keep the statistics as they are from now on; the flag is saved with the weights."""
        self.frozen.fill_(True)

    @property
    def deviation(self) -> Tensor:
        """Scale of each field, (F,) float64, in its units.

        The standard deviation; for a field that does not vary the absolute mean, or 1 if it is
        zero everywhere.
        """
        std, size = self.square.sqrt(), self.mean.abs()
        still = torch.where(size > 0, size, 1.0)
        return torch.where(std > _ROUNDING * size, std, still)

    @property
    def change_scale(self) -> Tensor:
        """Root mean square change of each field, (F,) float64; at least 1e-3 of `deviation`.

        Where no changes were seen it is `deviation`.
        """
        deviation = self.deviation
        change = self.change.sqrt()
        return torch.where(change > 0, torch.maximum(change, _STILL * deviation), deviation)

    def normalise(self, frames: Tensor) -> Tensor:
        """Return (B, n) frames in units of `deviation` about the mean."""
        return (frames - self.spread(self.mean)) / self.spread(self.deviation)

    def denormalise(self, frames: Tensor) -> Tensor:
        """Return (B, n) normalised frames in physical units."""
        return frames.float() * self.spread(self.deviation) + self.spread(self.mean)

    def spread(self, per_field: Tensor) -> Tensor:
        """Return numbers of the fields (F,) as float32 numbers of the values (n,)."""
        return per_field.float()[self.place]

    def require_data(self) -> None:
        """Check that there are statistics.

        Raises
        ------
        UserError
            If no data were observed.
        """
        # Once there are data there always will be: a GPU is asked only until then.
        self._has_data = self._has_data or bool(self.weight > 0)
        if not self._has_data:
            raise UserError(
                "Expected a surrogate that has observed data; this one has none, so its "
                "predictions have no scale. Call `observe` with a batch, or load a trained one."
            )
