r"""One step of an autoregressive model: quadratic in the state, affine in functions of mu.

.. math::
   a_{n+1} = a_n + \sum_j \theta_j(\mu)\, c_j + \sum_k \vartheta_k(\mu)\, A_k a_n + H(a_n, a_n)

with monomials θ and ϑ of the unit coordinates (`rom.regression.monomials`), and a symmetric
bilinear map H. Letters: q trajectories, d inputs, r coefficients, f features: the functions of
state and parameters that the operators multiply.
"""

from typing import final

import numpy as np

from rom.regression.monomials import Monomials
from rom.regression.state import Floats

__all__ = ["QuadraticStep", "StepForm"]


@final
class StepForm:
    """Which terms a step has: how many features, and their values.

    Parameters
    ----------
    n_inputs, n_outputs
        The numbers d and r.
    constant_degree, linear_degree
        Total degree of the monomials before c and before A.
    quadratic
        Whether there is H.
    """

    def __init__(
        self,
        n_inputs: int,
        n_outputs: int,
        constant_degree: int,
        linear_degree: int,
        *,
        quadratic: bool,
    ) -> None:
        self.n_outputs = n_outputs
        self.constant = Monomials(n_inputs, constant_degree)
        self.linear = Monomials(n_inputs, linear_degree)
        pairs = np.triu_indices(n_outputs if quadratic else 0)
        self.pairs = (pairs[0], pairs[1])

    @property
    def n_quadratic(self) -> int:
        """The number of features that are products of coefficients."""
        return len(self.pairs[0])

    @property
    def n_features(self) -> int:
        """The number f of features."""
        return len(self.constant) + len(self.linear) * self.n_outputs + self.n_quadratic

    def features(self, x: Floats, a: Floats) -> Floats:
        """Return the features (q, f) of inputs (q, d) and states (q, r)."""
        linear = self.linear.values(x)[:, :, np.newaxis] * a[:, np.newaxis, :]
        products = a[:, self.pairs[0]] * a[:, self.pairs[1]]
        return np.concatenate([self.constant.values(x), linear.reshape(len(a), -1), products], 1)

    def step(self, operators: Floats) -> "QuadraticStep":
        """Return the step of operators (f, r), the rows in the order of the features."""
        return QuadraticStep(self, operators)


@final
class QuadraticStep:
    """A step with known operators.

    Parameters
    ----------
    form
        Which terms it has.
    operators
        Their values, (f, r).
    """

    def __init__(self, form: StepForm, operators: Floats) -> None:
        n_c, r = len(form.constant), form.n_outputs
        n_l = len(form.linear) * r
        self._form = form
        self._c = operators[:n_c]
        # All matrices act on rows: what they multiply is their first index.
        self._A = operators[n_c : n_c + n_l].reshape(len(form.linear), r, r)
        # Both orders of a product get half of its operator, so H is symmetric.
        h = np.zeros((r, r, r))
        i, j = form.pairs
        h[i, j] += operators[n_c + n_l :] / 2
        h[j, i] += operators[n_c + n_l :] / 2
        self._H = h.reshape(r, r * r)

    def trajectories(self, x: Floats, start: Floats, n_times: int) -> Floats:
        """Return the states (q, n_times, r) that follow from those at the start (q, r).

        A trajectory that leaves the range of numbers goes on as infinite or NaN.
        """
        constant = self._form.constant.values(x) @ self._c
        linear = self._linear(x)
        result = np.empty((len(x), n_times, start.shape[1]))
        a = result[:, 0] = start
        with np.errstate(over="ignore", invalid="ignore"):
            for n in range(1, n_times):
                matrix = linear + self._contracted(a)
                a = result[:, n] = a + constant + (a[:, np.newaxis, :] @ matrix)[:, 0]
        return result

    def sensitivities(self, x: Floats, states: Floats, start: Floats) -> Floats:
        """Return the derivatives (q, n_times, r, d) of `trajectories` by the inputs.

        Parameters
        ----------
        x
            Inputs, (q, d).
        states
            The trajectories, (q, n_times, r).
        start
            The derivatives of the states at the start, (q, r, d).
        """
        linear = self._linear(x)
        constant_slope = np.einsum("qkd,kr->qrd", self._form.constant.slopes(x), self._c)
        linear_slope = np.einsum("qkd,kjr->qjrd", self._form.linear.slopes(x), self._A)
        result = np.empty((*states.shape, x.shape[1]))
        s = result[:, 0] = start
        for n in range(1, states.shape[1]):
            a = states[:, n - 1]
            direct = constant_slope + np.einsum("qj,qjrd->qrd", a, linear_slope)
            matrix = linear + 2.0 * self._contracted(a)
            s = result[:, n] = s + direct + matrix.transpose(0, 2, 1) @ s
        return result

    def _linear(self, x: Floats) -> Floats:
        """Return the sum of the operators A at inputs (q, d), shape (q, r, r)."""
        return np.tensordot(self._form.linear.values(x), self._A, axes=1)

    def _contracted(self, a: Floats) -> Floats:
        """Return H with one argument given (q, r), a matrix for the other: (q, r, r)."""
        return (a @ self._H).reshape(*a.shape, a.shape[1])
