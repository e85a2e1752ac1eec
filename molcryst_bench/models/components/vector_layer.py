r"""An attention layer of TorchMD-NET in one piece, with its first and second derivatives.

In small systems the calls of operators take the time, and those of the second derivative most of
all. Here a layer is one function of an atom's features :math:`x` and vectors :math:`\vec v`, of
what it sees, and of the weights:

.. math::

    h = \mathrm{norm}(x), \quad a = P h, \quad z = W e, \quad D = \mathrm{SiLU}(z), \quad
    y, \vec w = \mathrm{attend}(a, \vec v, D)

.. math::

    o = O y, \quad \vec m = U \vec v, \quad
    x' = x + \Delta x(o, \vec m), \quad \vec v\,' = \vec v + \vec w + \Delta \vec v(o, \vec m)

Its gradient goes through these from the last to the first. The second derivative, of the gradient
weighted by directions, follows the directions from the first to the last, as a forward derivative,
and leaves what falls to each of :math:`a, z, D, o, \vec m` to the gradient of the layer, which
comes next: so each product of matrices is computed once in each direction. Names are those of
``vector_loops``: ``for_`` is the gradient of an input, ``_`` at the end a direction.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from molcryst_bench.models.components.linear import multiply, outer
from molcryst_bench.models.components.looped import Looped, arrays, suits_loops
from molcryst_bench.models.components.vector_attention import VectorAttention, update_in_loops
from molcryst_bench.models.components.wanted import weights_are_wanted


class State(NamedTuple):
    """What a layer changes."""

    x: Tensor  # (nodes, width)
    vectors: Tensor  # (nodes, 3, width)


class Seen(NamedTuple):
    """What an atom sees of those around it: functions of distances and directions."""

    radial: Tensor  # (distances, basis) e
    envelope: Tensor  # (edges,) of attention
    fade: Tensor  # (edges,) of vectors
    direction: Tensor  # (edges, 3)


class Weights(NamedTuple):
    """The weights of a layer, each matrix (outputs, inputs)."""

    norm: Tensor
    norm_bias: Tensor
    project: Tensor
    project_bias: Tensor
    filter: Tensor
    filter_bias: Tensor
    vectors: Tensor
    out: Tensor
    out_bias: Tensor


class Between(NamedTuple):
    """What a layer computes on the way, or its gradient."""

    atoms: Tensor  # (nodes, 5, width) a
    raw: Tensor  # (distances, 4 width) z
    filters: Tensor  # (distances, 4, width) D
    out: Tensor  # (nodes, 3, width) o
    mapped: Tensor  # (nodes, 3, 3, width) m


class Kept(NamedTuple):
    """What derivatives need besides."""

    normed: Tensor  # (nodes, width) h
    mean: Tensor  # (nodes, 1) of x
    inverse: Tensor  # (nodes, 1) one over the deviation of x
    gathered: Tensor  # (nodes, width) y


class Back(NamedTuple):
    """Gradients on the way back, which the second derivative is made of."""

    after: State
    between: Between
    normed: Tensor
    gathered: Tensor


_SEEN = slice(1 + len(State._fields), 1 + len(State._fields) + len(Seen._fields))


class Pass(NamedTuple):
    """A layer's inputs, and what became of them."""

    state: State
    seen: Seen
    weights: Weights
    between: Between
    kept: Kept

    @classmethod
    def of(cls, tensors: tuple[Tensor, ...]) -> Pass:
        """Sort tensors that stand in this order."""
        rest = iter(tensors)
        kinds = (State, Seen, Weights, Between, Kept)
        return cls(*(kind(*(next(rest) for _ in kind._fields)) for kind in kinds))  # type: ignore

    def flat(self) -> tuple[Tensor, ...]:
        """Return all tensors in order."""
        return tuple(tensor for kind in self for tensor in kind)


@dataclass(frozen=True)
class VectorLayer:
    """One layer between given neighbours.

    Args:
        attend: who sees whom.
        epsilon: of the norm.
        plain: the same layer in operations of torch.
        first: whether vectors are still zero, and nobody asks for their gradient: there is nothing
            to map then.
    """

    attend: VectorAttention
    epsilon: float
    plain: Callable[[State, Seen], State]
    first: bool = False

    def __call__(self, state: State, seen: Seen, weights: Weights) -> State:
        """Return the next state."""
        given = (*state, *seen, *weights)
        if not suits_loops(*given) or torch.is_autocast_enabled("cpu"):
            return self.plain(state, seen)
        x, vectors, *_ = _Value.apply(self, *given)  # type: ignore[no-untyped-call]
        return State(x, vectors)

    def value(self, state: State, seen: Seen, weights: Weights) -> tuple[State, Between, Kept]:
        """Return the next state, and what its derivatives need."""
        (x, vectors), width = state, state.x.shape[1]
        attend, update = self._loops(x)
        norm = (weights.norm, weights.norm_bias, self.epsilon)
        normed, mean, inverse = torch.native_layer_norm(x, [width], *norm)
        atoms = multiply(normed, weights.project, weights.project_bias).view(-1, 5, width)
        raw = multiply(seen.radial, weights.filter, weights.filter_bias)
        filters = F.silu(raw).view(-1, 4, width)
        gathered, spread = torch.zeros_like(x), _copy(vectors)
        attend.value(*arrays(atoms, vectors, filters, *seen[1:], gathered, spread))
        out = multiply(gathered, weights.out, weights.out_bias).view(-1, 3, width)
        mapped = self._mapped(vectors, weights)
        after = State(_copy(x), spread)
        update.value(*arrays(out, mapped, *after))
        between = Between(atoms, raw, filters, out, mapped)
        return after, between, Kept(normed, mean, inverse, gathered)

    def back(
        self, done: Pass, after: State, more: Between | None, around: bool
    ) -> tuple[State, Seen | None, Back]:
        """Go back from the gradients of the next state to those of the inputs but the weights.

        Args:
            done: the layer's way forward.
            after: gradients of the next state.
            more: gradients that fall to what is between from elsewhere, which are added to.
            around: whether those of what is seen are wanted.
        """
        state, seen, weights, between, kept = done
        width = state.x.shape[1]
        attend, update = self._loops(state.x)
        atoms, raw, filters, out, mapped = more or _zeros(between)
        update.gradient(*arrays(between.out, between.mapped, *after, out, mapped))
        gathered = multiply(out.view(-1, 3 * width), weights.out.T)
        vectors = self._mapped_back(mapped, weights).add_(after.vectors)
        for_seen = [torch.zeros_like(each) for each in seen[1:]]
        inputs = (between.atoms, state.vectors, between.filters, *seen[1:])
        sums = (atoms, vectors, filters, *for_seen)
        attend.gradient(*arrays(*inputs, gathered, after.vectors, *sums))
        through = torch.ops.aten.silu_backward(filters.view(between.raw.shape), between.raw)
        raw = through if more is None else raw.add_(through)
        normed = multiply(atoms.view(-1, 5 * width), weights.project.T)
        norm = (kept.mean, kept.inverse, weights.norm, weights.norm_bias, [True, False, False])
        x, _, _ = torch.ops.aten.native_layer_norm_backward(normed, state.x, [width], *norm)
        back = Back(after, Between(atoms, raw, filters, out, mapped), normed, gathered)
        before = State(x.add_(after.x), vectors)
        return before, Seen(multiply(raw, weights.filter.T), *for_seen) if around else None, back

    def for_weights(self, done: Pass, back: Back) -> Weights:
        """Return the gradients of the weights."""
        state, seen, weights, _, kept = done
        width = state.x.shape[1]
        atoms = back.between.atoms.view(-1, 5 * width)
        out = back.between.out.view(-1, 3 * width)
        mapped = back.between.mapped.view(-1, 3 * width)
        norm = (kept.mean, kept.inverse, weights.norm, weights.norm_bias, [False, True, True])
        layer_norm = torch.ops.aten.native_layer_norm_backward
        _, scale, bias = layer_norm(back.normed, state.x, [width], *norm)
        return Weights(
            norm=scale,
            norm_bias=bias,
            project=outer(atoms, kept.normed),
            project_bias=atoms.sum(0),
            filter=outer(back.between.raw, seen.radial),
            filter_bias=back.between.raw.sum(0),
            vectors=torch.zeros_like(weights.vectors)
            if self.first
            else outer(mapped, state.vectors.view(-1, width)),
            out=outer(out, kept.gathered),
            out_bias=out.sum(0),
        )

    def second(
        self, done: Pass, back: Back, state_: State, seen_: Seen
    ) -> tuple[State, State, tuple[Tensor | None, ...], Between]:
        """Differentiate what ``back`` returns, weighted by directions.

        Returns:
            gradients of ``after``, of the state, of the weights, and of what is between; of what is
            seen nobody asks again.
        """
        from molcryst_bench.models.components import layer_loops  # are compiled at first

        state, seen, weights, between, kept = done
        width = state.x.shape[1]
        attend, update = self._loops(state.x)

        normed_, for_x, for_norm = map(torch.zeros_like, (state.x, state.x, weights.norm))
        norm = (state.x, kept.mean, kept.inverse, weights.norm, back.normed, state_.x)
        layer_loops.norm_second_gradient(*arrays(*norm, normed_, for_x, for_norm))
        atoms_ = multiply(normed_, weights.project).view(-1, 5, width)
        raw_ = multiply(seen_.radial, weights.filter)
        more, filters_ = _zeros(between), torch.empty_like(raw_)
        by_filters = back.between.filters.view(raw_.shape)
        silu = (between.raw, torch.sigmoid(between.raw), by_filters, raw_)
        layer_loops.silu_second_gradient(*arrays(*silu, filters_, more.raw))

        after = State(_copy(state_.x), _copy(state_.vectors))
        gathered_, for_vectors = torch.zeros_like(state.x), torch.zeros_like(state.vectors)
        around = [torch.zeros_like(each) for each in seen[1:]]
        inputs = (between.atoms, state.vectors, between.filters, *seen[1:])
        inputs_ = (atoms_, state_.vectors, filters_.view(between.filters.shape), *seen_[1:])
        sums = (gathered_, after.vectors, more.atoms, for_vectors, more.filters, *around)
        attend.second(*arrays(*inputs, back.gathered, back.after.vectors, *inputs_, *sums))

        out_ = multiply(gathered_, weights.out).view(-1, 3, width)
        mapped_ = self._mapped(state_.vectors, weights)
        given = (between.out, between.mapped, *back.after, out_, mapped_)
        update.second(*arrays(*given, *after, more.out, more.mapped))

        for_weights = (
            for_norm,
            None,  # biases have no part in directions
            outer(back.between.atoms.view(-1, 5 * width), normed_),
            None,
            outer(back.between.raw, seen_.radial),
            None,
            None
            if self.first
            else outer(back.between.mapped.view(-1, 3 * width), state_.vectors.reshape(-1, width)),
            outer(back.between.out.view(-1, 3 * width), gathered_),
            None,
        )
        return after, State(for_x, for_vectors), for_weights, more

    def _mapped(self, vectors: Tensor, weights: Weights) -> Tensor:
        """Map vectors (nodes, 3, width) to m, (nodes, 3, 3, width)."""
        nodes, _, width = vectors.shape
        if self.first:
            return vectors.new_zeros((nodes, 3, 3, width))
        return multiply(vectors.reshape(-1, width), weights.vectors).view(nodes, 3, 3, width)

    def _mapped_back(self, mapped: Tensor, weights: Weights) -> Tensor:
        """Return the gradient of vectors, (nodes, 3, width), from that of m."""
        nodes, _, _, width = mapped.shape
        if self.first:
            return mapped.new_zeros((nodes, 3, width))
        gradient = multiply(mapped.view(-1, 3 * width), weights.vectors.T)
        return gradient.view(nodes, 3, width)

    def _loops(self, x: Tensor) -> tuple[Looped, Looped]:
        return self.attend.in_loops(x, moving=not self.first), update_in_loops(x)


class _Value(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, layer: VectorLayer, *given: Tensor) -> tuple[Tensor, ...]:
        ctx.set_materialize_grads(False)
        ctx.layer, ctx.settled = layer, False
        state, seen, weights = State(*given[:2]), Seen(*given[2:6]), Weights(*given[6:])
        after, between, kept = layer.value(state, seen, weights)
        ctx.save_for_backward(*given, *between, *kept)
        return (*after, *between)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        done = Pass.of(ctx.saved_tensors)
        after = State(*map(_or_zero, gradients[:2], done.state))
        if torch.is_grad_enabled():
            if weights_are_wanted():
                return None, *_plain_gradient(ctx, done, after)
            ctx.settled = True
            found = _Gradient.apply(ctx.layer, *after, *done.flat())  # type: ignore[no-untyped-call]
            return None, *found, *_none(done.weights)
        given = [each for each in gradients[2:] if each is not None]  # all of them or none
        more = Between(*given) if given else None
        around = not ctx.settled and any(ctx.needs_input_grad[_SEEN])
        state, seen, back = ctx.layer.back(done, after, more, around)
        weights = ctx.layer.for_weights(done, back) if weights_are_wanted() else None
        return None, *state, *(seen or _none(done.seen)), *(weights or _none(done.weights))


class _Gradient(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, layer: VectorLayer, *given: Tensor) -> tuple[Tensor, ...]:
        after, done = State(*given[:2]), Pass.of(given[2:])
        state, seen, back = layer.back(done, after, None, True)
        assert seen is not None
        ctx.save_for_backward(*given)
        ctx.layer, ctx.back = layer, back
        return (*state, *seen)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *directions: Tensor) -> tuple[Tensor | None, ...]:
        done = Pass.of(ctx.saved_tensors[2:])
        directed = State(*directions[:2]), Seen(*directions[2:])
        after, state, weights, between = ctx.layer.second(done, ctx.back, *directed)
        return None, *after, *state, *_none(done.seen), *weights, *between, *_none(done.kept)


def _plain_gradient(ctx: Any, done: Pass, after: State) -> list[Tensor | None]:
    """Return the gradients of all inputs, differentiable any number of times by any of them."""
    # One input may follow from another, as directions that fade do: each is taken by itself here.
    state, seen = State(*map(_alias, done.state)), Seen(*map(_alias, done.seen))
    needed = ctx.needs_input_grad[1:]
    given = (*state, *seen, *done.weights)
    wanted = [each for each, need in zip(given, needed, strict=True) if need]
    result = ctx.layer.plain(state, seen)
    found = torch.autograd.grad(result, wanted, after, create_graph=True, materialize_grads=True)
    rest = iter(found)
    return [next(rest) if need else None for need in needed]


def _alias(tensor: Tensor) -> Tensor:
    return tensor.view_as(tensor)


def _or_zero(gradient: Tensor | None, of: Tensor) -> Tensor:
    return torch.zeros_like(of) if gradient is None else gradient.contiguous()


def _zeros(between: Between) -> Between:
    """Return what loops add to, and room for z, which is written once."""
    sums = Between(*(torch.empty_like(each) for each in between))
    for each in (sums.atoms, sums.filters, sums.out, sums.mapped):
        each.zero_()
    return sums


def _none(fields: tuple[Tensor, ...]) -> list[None]:
    return [None] * len(fields)


def _copy(tensor: Tensor) -> Tensor:
    return tensor.clone(memory_format=torch.contiguous_format)
