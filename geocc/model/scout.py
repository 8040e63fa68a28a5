"""The change scout: a small convolutional network that says whether, where, and from what to what two dates differ. It has no words.

geocc's own, not CCExpert's. A large model spends the same seconds on every pair; most ground has not changed, and a network of
four million parameters that learned nothing else finds that out for a few thousandths of the price. Both dates go through one
residual encoder (He et al., arXiv 1512.03385); at every level their features and the absolute difference of those are
merged, and the levels are added up from coarse to fine (Lin et al., arXiv 1612.03144).
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812  # torch's own abbreviation
from torch.nn.utils.fusion import fuse_conv_bn_eval
from transformers import PretrainedConfig, PreTrainedModel

from geocc.errors import CheckpointError, InputError
from geocc.model.resize import resize_as_pillow

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

__all__ = ["COVERS", "ChangeScout", "ChangeScoutConfig", "ScoutOutput", "load_scout"]

COVERS = (
    "water",
    "vegetation",
    "ground",
    "building",
    "road",
    "parking lot",
    "trees",
    "bare land",
    "grass",
    "crops",
    "built-up land",
    "flooded ground",
    "burnt ground",
)
"""What stands on the ground, in the numbers of the label images of geocc's own data, from 1. Vegetation and ground are all that spectral
indices tell of what is not water; the others are those of painted scenes."""

#: Pixels along the side of a cell of the change map.
CELL = 4
_DATES = 2
#: A configuration is not to be trusted: beyond this it is damaged, or made to fill the memory.
_WIDEST = 2048
_MOST_COVERS, _LONGEST_NAME = 254, 64
# So many of the likeliest cells are looked at together: a change of that size shows as a whole.
_LIKELIEST = 8


class ChangeScoutConfig(PretrainedConfig):
    """Sizes of a `ChangeScout`.

    Args:
        image_size: Side in pixels of the square that tiles are resized to; a multiple of the coarsest cell.
        stem_width: Channels after the first convolution.
        widths: Channels of the levels, from cells of 4 pixels on, each level half as fine as the one before.
        depths: Residual blocks of the levels.
        merged_width: Channels in which the levels of both dates are merged.
        covers: Names of what it tells apart on changed ground, in the order of their numbers in label images, from 1; at least
            two, or none for a scout that says only whether ground changed.
        margin: Pixels by which tiles are mirrored outwards before they are looked at, a multiple of half the coarsest cell: what
            an edge cuts to a sliver is seen twice as wide, and away from the zeros that convolutions put around an image.
        folded: Whether the norms are worked into the convolutions, as `ChangeScout.folded` does it.
        image_mean: Subtracted from pixels in [0, 1].
        image_std: Pixels are divided by it afterwards.
    """

    model_type = "geocc_change_scout"

    def __init__(
        self,
        *,
        image_size: int = 192,
        stem_width: int = 32,
        widths: Sequence[int] = (64, 128, 160, 192),
        depths: Sequence[int] = (2, 3, 2, 2),
        merged_width: int = 64,
        covers: Sequence[str] = (),
        margin: int = 0,
        folded: bool = False,
        image_mean: float = 0.45,
        image_std: float = 0.22,
        **kwargs: Any,
    ) -> None:
        sizes = [stem_width, merged_width, *widths, *depths]
        if not widths or len(widths) != len(depths) or not 1 <= min(sizes) <= max(sizes) <= _WIDEST:
            raise InputError(
                f"widths are {list(widths)} and depths {list(depths)}, with stem_width {stem_width} and merged_width "
                f"{merged_width}; expected one width and one depth for each level, all from 1 to {_WIDEST}."
            )
        coarsest = CELL * 2 ** (len(widths) - 1)
        if not coarsest <= image_size <= _WIDEST or image_size % coarsest:
            raise InputError(
                f"image_size is {image_size}; {len(widths)} levels need a multiple of {coarsest}, such as 192, and at most "
                f"{_WIDEST}."
            )
        self.covers = _checked_covers(covers)
        step = max(CELL, coarsest // 2)
        if not 0 <= margin < image_size or margin % step:
            raise InputError(
                f"margin is {margin}; {len(widths)} levels need a multiple of {step} from 0 to below image_size, {image_size}."
            )
        self.image_size = image_size
        self.stem_width = stem_width
        self.widths = list(widths)
        self.depths = list(depths)
        self.merged_width = merged_width
        self.margin = margin
        self.folded = folded
        self.image_mean = image_mean
        self.image_std = image_std
        super().__init__(**kwargs)

    @property
    def numbers_per_pair(self) -> int:
        """How many numbers are alive at once for a pair: both dates after the first convolution, in four states."""
        return int(2 * 4 * self.stem_width * (self.image_size // 2 + self.margin) ** 2)


class ScoutOutput(NamedTuple):
    """What a scout finds.

    Attributes:
        change_logits: `(B,)` whether the ground of the pair changed.
        map_logits: `(B, image_size / 4, image_size / 4)` which cells of it did.
        features: `(B, C, image_size / 4, image_size / 4)` what the map was read from.
        cover_logits: `(B, T=2, covers, image_size / 4, image_size / 4)` what stands on either date where the ground changed; of
            other ground only as far as the label images that it learned from tell of it. None for a scout without covers.
    """

    change_logits: Tensor
    map_logits: Tensor
    features: Tensor
    cover_logits: Tensor | None = None


class ChangeScout(PreTrainedModel):
    """Says of pairs of images whether, and in which cells, the ground changed.

    Args:
        config: Its sizes.
    """

    config_class = ChangeScoutConfig
    base_model_prefix = "scout"
    main_input_name = "pixel_values"

    def __init__(self, config: ChangeScoutConfig) -> None:
        super().__init__(config)
        widths, merged, norm = config.widths, config.merged_width, not config.folded
        self.stem = nn.Sequential(
            _convolution(3, config.stem_width, 3, stride=2, norm=norm),
            _convolution(config.stem_width, widths[0], 3, stride=2, norm=norm),
        )
        inputs = [widths[0], *widths[:-1]]
        self.levels = nn.ModuleList(
            nn.Sequential(
                *(
                    _Block(given if first else width, width, stride=2 if first and at else 1, norm=norm)
                    for first in (True, *(False for _ in range(depth - 1)))
                )
            )
            for at, (given, width, depth) in enumerate(zip(inputs, widths, config.depths, strict=True))
        )
        self.merge = nn.ModuleList(
            nn.Sequential(_convolution(3 * width, merged, 1, norm=norm), _Block(merged, merged, norm=norm))
            for width in widths
        )
        self.refine = nn.ModuleList(_convolution(merged, merged, 3, norm=norm) for _ in widths[:-1])
        self.map_head = nn.Conv2d(merged, 1, 1)
        self.cover_head = nn.Conv2d(merged, _DATES * len(config.covers), 1) if config.covers else None
        self.pair_1 = nn.Linear(2 * len(widths) * merged + 1, merged)
        self.pair_2 = nn.Linear(merged, 1)
        self.post_init()

    def _init_weights(self, module: nn.Module) -> None:
        """Leave torch's own start, under which the last step of each residual block is nothing."""

    def knowing(self, covers: Sequence[str]) -> ChangeScout:
        """Return a scout of the same weights that tells these covers apart: itself, where it does, or with a head to be trained."""
        if list(covers) == self.config.covers:
            return self
        scout = ChangeScout(ChangeScoutConfig(**self.config.to_dict() | {"covers": list(covers)}))
        kept = {name: tensor for name, tensor in self.state_dict().items() if not name.startswith("cover_head.")}
        scout.load_state_dict(kept, strict=False)
        return scout

    def seeing(self, image_size: int) -> ChangeScout:
        """Return a scout of the same weights that looks at images of this side in pixels: itself, where it does."""
        if image_size == self.config.image_size:
            return self
        scout = ChangeScout(ChangeScoutConfig(**self.config.to_dict() | {"image_size": image_size}))
        scout.load_state_dict(self.state_dict())
        return scout

    def folded(self) -> ChangeScout:
        """Return a scout that says the same and has its norms worked into its convolutions; not to be trained on."""
        if self.config.folded:
            return self
        source = copy.deepcopy(self).eval()
        state = source.state_dict()
        name, convolution = "", nn.Conv2d(1, 1, 1)
        for other, module in source.named_modules():
            if isinstance(module, nn.Conv2d):
                name, convolution = other, module
            elif isinstance(module, nn.BatchNorm2d):  # always that of the convolution before it
                for key in module.state_dict():
                    del state[f"{other}.{key}"]
                fused = fuse_conv_bn_eval(convolution, module)
                state |= {f"{name}.{key}": tensor for key, tensor in fused.state_dict().items()}
        scout = ChangeScout(ChangeScoutConfig(**self.config.to_dict() | {"folded": True}))
        scout.load_state_dict(state)
        nn.Module.to(scout.eval(), self.device, self.dtype)
        return scout

    def pixel_values(self, images: Tensor) -> Tensor:
        """Prepare tiles: resized by Pillow's bicubic filter, normalised, laid out as convolutions like them.

        Args:
            images: `(B, T=2, C=3, H, W)` uint8, on any device.

        Returns:
            `(B, T=2, C=3, image_size, image_size)` float32.

        Raises:
            InputError: The tiles are not square pairs of uint8 images.
        """
        if images.ndim != 5 or images.shape[1:3] != (_DATES, 3):  # B, T, C, H, W
            raise InputError(f"images are of shape {tuple(images.shape)}; expected (B, T=2, C=3, H, W) uint8.")
        resized = resize_as_pillow(images.flatten(0, 1), self.config.image_size).float() / 255
        pixels = (resized - self.config.image_mean) / self.config.image_std
        laid_out: Tensor = pixels.contiguous(memory_format=torch.channels_last).unflatten(0, (-1, _DATES))
        return laid_out

    def forward(self, pixel_values: Tensor) -> ScoutOutput:
        """Compare the dates of every pair.

        Args:
            pixel_values: `(B, T=2, C=3, image_size, image_size)` as `pixel_values` returns them.
        """
        margin = self.config.margin
        pixels = pixel_values.flatten(0, 1)
        if margin:
            pixels = F.pad(pixels, (margin,) * 4, mode="reflect")
        # Laid out anew, for a view of them may be laid out in a way that convolutions are slow with.
        pixels = pixels.contiguous(memory_format=torch.channels_last)
        pairs, state, merged = len(pixel_values), self.stem(pixels), []
        for level, merge in zip(self.levels, self.merge, strict=True):
            state = level(state)
            earlier, later = state.unflatten(0, (pairs, _DATES)).unbind(1)
            merged.append(merge(torch.cat([earlier, later, (earlier - later).abs()], dim=1)))
        state, seen = merged[-1], [merged[-1]]
        for finer, refine in zip(merged[-2::-1], self.refine, strict=True):
            state = refine(finer + F.interpolate(state, scale_factor=2.0))
            seen.append(state)
        cells = self.map_head(state)
        likeliest = cells.flatten(1).topk(min(_LIKELIEST, cells[0].numel()), dim=1).values.mean(dim=1, keepdim=True)
        pooled = [part for level in seen for part in (level.amax((2, 3)), level.mean((2, 3)))]
        logits = self.pair_2(F.relu(self.pair_1(torch.cat([*pooled, likeliest], dim=1))))
        inside = slice(margin // CELL, (margin + self.config.image_size) // CELL)
        features = state[:, :, inside, inside]
        covers = None if self.cover_head is None else self.cover_head(features).unflatten(1, (_DATES, -1))
        return ScoutOutput(logits.squeeze(1), cells.squeeze(1)[:, inside, inside], features, covers)


def load_scout(folder: Path) -> ChangeScout:
    """Load a scout in float32, whatever its weights were stored in.

    Args:
        folder: It holds `config.json` and `model.safetensors`.

    Raises:
        CheckpointError: The weights are no scout's, or damaged.
    """
    try:
        scout = ChangeScout(ChangeScoutConfig.from_pretrained(folder, local_files_only=True))
        scout.load_state_dict(load_file(folder / "model.safetensors"))
    except (OSError, RuntimeError, ValueError, TypeError, SafetensorError) as error:
        raise CheckpointError(
            f"{folder} does not hold a change scout: {error}. Expected a folder that geocc.training.train_scout wrote."
        ) from error
    return scout


def _checked_covers(covers: object) -> list[str]:
    """Return names that can be shown; they stand beside untrusted weights."""
    names = list(covers) if isinstance(covers, list | tuple) else [covers]
    shown = [name for name in names if isinstance(name, str) and name.isprintable() and 0 < len(name) <= _LONGEST_NAME]
    if len(set(shown)) < len(names) or len(names) == 1 or len(names) > _MOST_COVERS:
        raise InputError(
            f"covers are {str(names)[:200]}; expected none, or from 2 to {_MOST_COVERS} different names of at most {_LONGEST_NAME} "
            "printable characters, such as ['water', 'trees']."
        )
    return shown


class _Block(nn.Module):
    """Two convolutions beside a way around them, which is all there is at the start."""

    def __init__(self, inputs: int, outputs: int, *, norm: bool, stride: int = 1) -> None:
        super().__init__()
        self.first = _convolution(inputs, outputs, 3, stride=stride, norm=norm)
        self.second = nn.Conv2d(outputs, outputs, 3, padding=1, bias=not norm)
        self.norm = nn.BatchNorm2d(outputs) if norm else nn.Identity()
        if isinstance(self.norm, nn.BatchNorm2d):
            nn.init.zeros_(self.norm.weight)
        same = (inputs, stride) == (outputs, 1)
        self.around = nn.Identity() if same else _Around(inputs, outputs, stride=stride, norm=norm)

    def forward(self, state: Tensor) -> Tensor:
        return F.relu_(self.norm(self.second(self.first(state))) + self.around(state))


class _Around(nn.Sequential):
    def __init__(self, inputs: int, outputs: int, *, stride: int, norm: bool) -> None:
        super().__init__(
            nn.AvgPool2d(stride),
            nn.Conv2d(inputs, outputs, 1, bias=not norm),
            nn.BatchNorm2d(outputs) if norm else nn.Identity(),
        )


def _convolution(inputs: int, outputs: int, side: int, *, norm: bool, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, side, stride, side // 2, bias=not norm),
        nn.BatchNorm2d(outputs) if norm else nn.Identity(),
        nn.ReLU(inplace=True),  # a seventh less time on a processor
    )
