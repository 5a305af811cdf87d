"""Fixed sparse matrices over the nodes of a mesh, as a module that batches share.

PyTorch's `embedding_bag` sums weighted rows of a table: that is a product with a sparse matrix
in compressed rows, and it is much faster on a CPU than `index_add_` or sparse tensors. The
backward pass is the same with the transposed matrix, which is stored too.
"""

from typing import Any, final

import numpy as np
import torch
from scipy.sparse import csr_array
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["SparseMap"]


@final
class SparseMap(nn.Module):
    """The product y = A x with a constant sparse matrix, along the first axis of x.

    The matrix is no part of the saved weights: it follows from the mesh.

    Parameters
    ----------
    matrix : csr_array
        (m, n).
    """

    def __init__(self, matrix: csr_array) -> None:
        super().__init__()
        self.shape: tuple[int, int] = matrix.shape
        self._forward_part = _Rows(matrix)
        self._backward_part = _Rows(matrix.T.tocsr())

    def forward(self, values: Tensor) -> Tensor:
        """Return A x.

        Parameters
        ----------
        values : (n, ...)

        Returns
        -------
        Tensor
            (m, ...), of the same type.
        """
        flat = values.reshape(self.shape[1], -1)
        result: Tensor = _Product.apply(flat, self._forward_part, self._backward_part)
        return result.reshape(self.shape[0], *values.shape[1:])


@final
class _Rows(nn.Module):
    """A matrix by rows: columns, values, and where each row begins."""

    columns: Tensor
    values: Tensor
    starts: Tensor

    def __init__(self, matrix: csr_array) -> None:
        super().__init__()
        for name, array in (("columns", matrix.indices), ("starts", matrix.indptr)):
            self.register_buffer(name, torch.tensor(array.astype(np.int64)), persistent=False)
        values = torch.tensor(matrix.data.astype(np.float32))
        self.register_buffer("values", values, persistent=False)

    def forward(self, table: Tensor) -> Tensor:
        """Return the product with a table (n, k)."""
        return functional.embedding_bag(
            self.columns,
            table,
            self.starts,
            mode="sum",
            per_sample_weights=self.values.to(table.dtype),
            include_last_offset=True,
        )


class _Product(torch.autograd.Function):
    """A x forward, A^T y backward."""

    @staticmethod
    def forward(ctx: Any, table: Tensor, rows: _Rows, columns: _Rows) -> Tensor:
        ctx.columns = columns
        result: Tensor = rows(table.contiguous())
        return result

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        return ctx.columns(gradient.contiguous()), None, None
