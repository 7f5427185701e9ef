"""The hidden layers' activation with its derivative, fused: half the time of torch's own pieces.

out = mask (a + slope (f(a) - a)) with a = product + bias; f is Mish or SELU (RealMLP's parametric
activation; `mask` is dropout's). What the backward pass needs is computed in place on the way
forward: at batches of 256 rows, fresh memory costs more than arithmetic.

Axes: B rows, W width, M members; tensors are (B, W) or (M, B, W).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

# Klambauer et al. 2017, "Self-Normalizing Neural Networks", equation 2
_SELU_ALPHA = 1.6732632423543772
_SELU_SCALE = 1.0507009873554805
_MISH_LINEAR = 20.0  # beyond it Mish(x) is x in float32, and exp(x)^2 still far from overflow


class _Activate(torch.autograd.Function):
    """`activate` while gradients are wanted."""

    @staticmethod
    def forward(
        ctx: Any, product: Tensor, bias: Tensor, slope: Tensor, name: str, mask: Tensor | None
    ) -> Tensor:
        """The activation; saves f(a) - a and the derivative by a, both masked."""
        a = product + bias
        delta, derivative = _mish(a) if name == "mish" else _selu(a)
        delta.sub_(a)
        derivative.sub_(1.0).mul_(slope).add_(1.0)
        out = a.addcmul_(slope, delta)
        if mask is not None:
            out.mul_(mask)
            delta.mul_(mask)
            derivative.mul_(mask)
        ctx.save_for_backward(delta, derivative)
        return out

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        """Gradients of product, bias and slope."""
        (gradient,) = gradients
        delta, derivative = ctx.saved_tensors
        by_product = gradient * derivative
        by_slope = delta.mul_(gradient).sum(-2, keepdim=delta.dim() == 3)
        by_bias = by_product.sum(-2, keepdim=delta.dim() == 3)
        return by_product, by_bias, by_slope, None, None


def activate(
    product: Tensor, bias: Tensor, slope: Tensor, name: str, mask: Tensor | None
) -> Tensor:
    """The parametric activation called `name` ("mish" or "selu") of `product` + `bias`."""
    if torch.is_grad_enabled() and product.requires_grad:
        out: Tensor = _Activate.apply(  # type: ignore[no-untyped-call]  # torch leaves it unannotated
            product, bias, slope, name, mask
        )
        return out
    a = product + bias
    value = functional.mish(a) if name == "mish" else functional.selu(a)
    value = value.sub_(a).mul_(slope).add_(a)
    return value if mask is None else value * mask


def _mish(a: Tensor) -> tuple[Tensor, Tensor]:
    """Mish(a) = a tanh(softplus(a)) and its derivative, with one exponential.

    With e = exp(a) and w = e (e + 2): tanh(softplus(a)) = t = w / (w + 2), and its derivative is
    (1 - t^2) e / (1 + e) = 4 e (1 + e) / (w + 2)^2.
    """
    e = a.clamp(max=_MISH_LINEAR).exp_()
    w = (e + 2.0).mul_(e)
    inverse = (w + 2.0).reciprocal_()
    t = w.mul_(inverse)
    e.addcmul_(e, e).mul_(4.0).mul_(inverse).mul_(inverse).mul_(a)
    return a * t, e.add_(t)


def _selu(a: Tensor) -> tuple[Tensor, Tensor]:
    """SELU(a) and its derivative."""
    value = functional.selu(a)
    return value, torch.where(a > 0.0, _SELU_SCALE, value + _SELU_SCALE * _SELU_ALPHA)
