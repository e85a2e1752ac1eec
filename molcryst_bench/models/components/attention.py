"""Self-attention over the atoms of each graph."""

from __future__ import annotations

from contextlib import nullcontext

from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel

from molcryst_bench.models.components.padding import Padding


class EncoderLayer(nn.Module):
    """Self-attention and a network on each atom, both on normed features and added to them."""

    def __init__(self, width: int, heads: int, hidden: int) -> None:
        super().__init__()
        self.attention = SelfAttention(width, heads)
        self.attention_norm = nn.LayerNorm(width)
        self.feedforward = nn.Sequential(
            nn.Linear(width, hidden), nn.SiLU(), nn.Linear(hidden, width)
        )
        self.feedforward_norm = nn.LayerNorm(width)

    def forward(self, x: Tensor, padding: Padding, forces: bool) -> Tensor:
        """Return features of the same shape (nodes, width).

        Args:
            x: features of all atoms.
            padding: of the batch.
            forces: whether derivatives by positions may be trained on.
        """
        x = x + self.attention(self.attention_norm(x), padding, forces)
        update: Tensor = self.feedforward(self.feedforward_norm(x))
        return x + update


class SelfAttention(nn.Module):
    """Scaled dot-product attention with several heads, from each atom to all of its graph."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.into = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)

    def forward(self, x: Tensor, padding: Padding, forces: bool) -> Tensor:
        """Return what each atom reads, (nodes, width)."""
        split = self.into(x).view(len(x), 3, self.heads, -1)  # (nodes, 3, heads, width / heads)
        query, key, value = padding.pad(split).permute(2, 0, 3, 1, 4)  # each (graphs, heads, ...)
        mask = padding.present[:, None, None, :]
        # The kernels that never hold all weights at once lack second derivatives.
        with sdpa_kernel(SDPBackend.MATH) if forces else nullcontext():
            read = F.scaled_dot_product_attention(query, key, value, attn_mask=mask)
        update: Tensor = self.out(padding.unpad(read.transpose(1, 2).flatten(2)))
        return update
