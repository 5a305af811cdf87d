r"""POD of fields that are cut into blocks of rows, each on its own worker, by one caller.

The caller adds the small matrices of products of all blocks, decomposes the sum, and sends the
coefficients A back: each worker makes its rows of the modes, X_b A, and keeps them. No worker and
no caller ever holds a field. This is the way for Dask's chunks; MPI ranks, which all run the same
program, use `rom.basis.pod` with a product over a `rom.reduction.Communicator`.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from infra.errors import UserError
from rom.basis import require_variation
from rom.decomposition import gram_resolves
from rom.pod_gram import eigen_coefficients, orthonormaliser
from rom.products import Euclidean, InnerProduct
from rom.truncation import Truncation

__all__ = ["BlockBasis", "Run", "pod_of_row_blocks"]

type _Floats = NDArray[np.float64]
# Like `map`, but all at once: applies a function to the entries of some lists.
type Run = Callable[..., Iterable[Any]]


@final
@dataclass(frozen=True, eq=False)
class BlockBasis:
    """A basis whose rows are with their workers.

    Attributes
    ----------
    modes
        For each block what `keep` gave for its rows, shape (n_b, r).
    centres
        Likewise for the mean snapshot, shape (n_b,); None if it is not centred.
    singular_values
        Descending, shape (k,).
    rank
        Number r of modes.
    n_snapshots
        Number k of snapshots.
    """

    modes: tuple[Any, ...]
    centres: tuple[Any, ...] | None
    singular_values: _Floats
    rank: int
    n_snapshots: int


def pod_of_row_blocks(
    blocks: Sequence[Any],
    products: Sequence[InnerProduct] | None = None,
    *,
    rank: int | None = None,
    tolerance: float | None = None,
    centre: bool = True,
    run: Run = map,
    keep: Run = map,
) -> BlockBasis:
    """Return the basis of snapshots that are cut into blocks of rows.

    Parameters
    ----------
    blocks
        Arrays of shape (k, n_b), the same snapshots in each; or what `run` and `keep` turn into
        them, for example Dask's futures.
    products
        The addend of the inner product of each block; by default Euclidean.
    rank, tolerance, centre
        As in `rom.basis.pod`, by the method of snapshots; give one of the first two.
    run
        Applies a function to blocks and returns small results; with Dask
        ``lambda *a: client.gather(client.map(*a))``.
    keep
        Applies a function to blocks and returns handles of results that stay where they are;
        with Dask ``client.map``.

    Returns
    -------
    BlockBasis
        The handles, and the singular values.

    Raises
    ------
    UserError
        If the tolerance is below what the method of snapshots resolves, the snapshots are
        constant, zero or not finite, or an argument is out of its range.
    """
    n = len(blocks)
    addends: Sequence[InnerProduct | None] = [None] * n if products is None else products
    flags = [centre] * n
    parts = list(run(_gram, blocks, addends, flags))
    gram, size = np.sum([part[0] for part in parts], axis=0), sum(part[1] for part in parts)
    if not np.isfinite(gram).all():
        raise UserError(
            "Expected finite snapshots; received NaN or infinite values. Leave these out."
        )
    truncation = Truncation(rank, tolerance or 0.0, floor=float(np.finfo(float).eps * size**0.5))
    A, sigma = eigen_coefficients((gram + gram.T) / 2, truncation)
    r = A.shape[1]
    require_variation(float((sigma**2).sum()) if r else 0.0, size, len(gram), centred=centre)
    if not gram_resolves(sigma, r, truncation):
        raise UserError(
            f"Expected a tolerance or a number of modes that the method of snapshots resolves; the "
            f"last of {r} modes has {sigma[r - 1] / sigma[0]:.1e} of the first. Ask for less, or "
            "use MPI ranks or hierarchical POD."
        )
    for _ in range(2):
        A = A @ orthonormaliser(
            np.sum(list(run(_gram_of_modes, blocks, addends, flags, [A] * n)), axis=0)
        )
    modes = tuple(keep(_modes, blocks, flags, [A] * n))
    centres = tuple(keep(_mean, blocks)) if centre else None
    return BlockBasis(modes, centres, sigma, r, len(gram))


def _mean(block: _Floats) -> _Floats:
    return np.asarray(block.mean(axis=0))


def _columns(block: _Floats, centre: bool) -> _Floats:
    return (block - block.mean(axis=0) if centre else block).T


def _gram(block: _Floats, product: InnerProduct | None, centre: bool) -> tuple[_Floats, float]:
    """Return the block's addends of the Gram matrix and of k times the mean's squared norm."""
    made = product or Euclidean(block.shape[1])
    gram = made.gram(_columns(block, centre))
    return gram, float(made.norms(_mean(block)[:, None])[0] ** 2 * len(block)) if centre else 0.0


def _modes(block: _Floats, centre: bool, coefficients: _Floats) -> _Floats:
    return _columns(block, centre) @ coefficients


def _gram_of_modes(
    block: _Floats, product: InnerProduct | None, centre: bool, coefficients: _Floats
) -> _Floats:
    return (product or Euclidean(block.shape[1])).gram(_modes(block, centre, coefficients))
