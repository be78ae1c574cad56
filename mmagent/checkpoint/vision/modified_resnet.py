"""CLIP's ResNets: three convolutions before the stages, pooling where others stride, and attention over the last map.

Source: Radford et al. 2021 (arXiv:2103.00020), section 2.4; He et al. 2018 (arXiv:1812.01187), ResNet-D, for the
stem and the shortcuts. Parameters bear OpenCLIP's names. It knows nothing of folders.
Shapes: B pictures of H × W, maps of D channels, L places of the last map, P the width of the space shared with text.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.functional import relu, scaled_dot_product_attention

EXPANSION, STRIDE = 4, 32
"""How many times wider a block's result is than its inside, and pixels a place of the last map, each way."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What a picture makes: `hidden_states` are what enters the first stage and what leaves each, `[B, D, H', W']`.

    `image_embeds` `[B, P]` are in the space shared with text, `pooler_output` `[B, D]` what they are projected from.
    """

    last_hidden_state: Tensor
    pooler_output: Tensor
    image_embeds: Tensor
    hidden_states: Sequence[Tensor]


class Block(nn.Module):
    """A bottleneck that shrinks its map, in either branch, by averaging."""

    def __init__(self, n_in: int, n_inside: int, stride: int) -> None:
        super().__init__()
        n_out = n_inside * EXPANSION
        self.conv1, self.bn1 = nn.Conv2d(n_in, n_inside, 1, bias=False), nn.BatchNorm2d(n_inside)
        self.conv2, self.bn2 = nn.Conv2d(n_inside, n_inside, 3, padding=1, bias=False), nn.BatchNorm2d(n_inside)
        self.shrink = nn.AvgPool2d(stride) if stride > 1 else nn.Identity()
        self.conv3, self.bn3 = nn.Conv2d(n_inside, n_out, 1, bias=False), nn.BatchNorm2d(n_out)
        self.downsample = nn.Sequential()  # two modules named 0 and 1, or none
        if stride > 1 or n_in != n_out:
            self.downsample.extend([nn.Conv2d(n_in, n_out, 1, bias=False), nn.BatchNorm2d(n_out)])

    def forward(self, x: Tensor) -> Tensor:
        inside = relu(self.bn2(self.conv2(relu(self.bn1(self.conv1(x))))))
        shortcut = self.downsample(self.shrink(x)) if len(self.downsample) else x
        return relu(self.bn3(self.conv3(self.shrink(inside))) + shortcut)


class AttentionPool(nn.Module):
    """The mean of a map asks the map and itself, by several heads, each place with a position learned."""

    def __init__(self, side: int, width: int, n_heads: int, n_out: int) -> None:
        super().__init__()
        self.positional_embedding = nn.Parameter(torch.zeros(side * side + 1, width))
        self.q_proj, self.k_proj, self.v_proj = (nn.Linear(width, width) for _ in range(3))
        self.c_proj = nn.Linear(width, n_out)
        self.n_heads = n_heads

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """What the mean is told `[B, D]`, and that projected `[B, P]`."""
        places = x.flatten(2).mT  # [B, L, D]
        tokens = torch.cat([places.mean(1, keepdim=True), places], dim=1) + self.positional_embedding
        query, keys, values = (
            each.unflatten(-1, (self.n_heads, -1)).transpose(1, 2)  # [B, heads, L, D / heads]
            for each in (self.q_proj(tokens[:, :1]), self.k_proj(tokens), self.v_proj(tokens))
        )
        pooled = scaled_dot_product_attention(query, keys, values).flatten(1)
        return pooled, self.c_proj(pooled)


class ModifiedResNet(nn.Module):
    """The tower; `depths` are the blocks of its four stages, `side` is that of its pictures, a multiple of 32."""

    def __init__(self, depths: Sequence[int], width: int, n_heads: int, side: int, n_out: int) -> None:
        super().__init__()
        half = width // 2
        self.conv1, self.bn1 = nn.Conv2d(3, half, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(half)
        self.conv2, self.bn2 = nn.Conv2d(half, half, 3, padding=1, bias=False), nn.BatchNorm2d(half)
        self.conv3, self.bn3 = nn.Conv2d(half, width, 3, padding=1, bias=False), nn.BatchNorm2d(width)
        self.shrink = nn.AvgPool2d(2)
        widths = [width * 2**stage for stage in range(4)]
        entering = [width, *(inside * EXPANSION for inside in widths)]
        self.layer1, self.layer2, self.layer3, self.layer4 = (
            nn.Sequential(
                Block(n_in, inside, 1 if stage == 0 else 2),
                *(Block(inside * EXPANSION, inside, 1) for _ in range(depth - 1)),
            )
            for stage, (depth, n_in, inside) in enumerate(zip(depths, entering, widths))
        )
        self.attnpool = AttentionPool(side // STRIDE, entering[-1], n_heads, n_out)

    def forward(self, pixel_values: Tensor, output_hidden_states: bool = False) -> Seen:
        """What `[B, 3, H, W]` makes; the states of all stages are kept in any case."""
        x = relu(self.bn1(self.conv1(pixel_values)))
        x = relu(self.bn2(self.conv2(x)))
        states = [cast(Tensor, self.shrink(relu(self.bn3(self.conv3(x)))))]
        for stage in (self.layer1, self.layer2, self.layer3, self.layer4):
            states.append(stage(states[-1]))
        pooled, projected = self.attnpool(states[-1])
        return Seen(states[-1], pooled, projected, states)
