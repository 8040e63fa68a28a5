"""The sizes of a CCExpert model, in Transformers' own way."""

from __future__ import annotations

from dataclasses import field
from typing import Any, ClassVar

from transformers import PreTrainedConfig, Qwen2Config, SiglipVisionConfig

from geocc.errors import InputError
from geocc.model.scout import CELL, ChangeScoutConfig

__all__ = ["CCExpertConfig"]

# google/siglip-so400m-patch14-384, config.json, less the 27th layer and the pooling head, which CCExpert never reads.
_SO400M = {
    "hidden_size": 1152,
    "intermediate_size": 4304,
    "num_hidden_layers": 26,
    "num_attention_heads": 16,
    "image_size": 384,
    "patch_size": 14,
}
# Qwen/Qwen2-0.5B and Qwen/Qwen2-7B, config.json.
_QWEN2 = {
    "max_position_embeddings": 32768,
    "rms_norm_eps": 1e-6,
    "rope_parameters": {"rope_type": "default", "rope_theta": 1_000_000.0},
    "pad_token_id": 151643,
    "eos_token_id": 151645,
}
_QWEN2_SIZES = {
    "0.5b": {
        "hidden_size": 896,
        "intermediate_size": 4864,
        "num_hidden_layers": 24,
        "num_attention_heads": 14,
        "num_key_value_heads": 2,
        "vocab_size": 151936,
        "tie_word_embeddings": True,
    },
    "7b": {
        "hidden_size": 3584,
        "intermediate_size": 18944,
        "num_hidden_layers": 28,
        "num_attention_heads": 28,
        "num_key_value_heads": 4,
        "vocab_size": 152064,
        "tie_word_embeddings": False,
    },
}


class CCExpertConfig(PreTrainedConfig):
    """Configuration of `CCExpertForConditionalGeneration`; the defaults are CCExpert-0.5B's.

    Architecture: CCExpert (arXiv 2411.11360), SigLIP tower, difference-aware integration module, Qwen2.

    Attributes:
        vision_config: Sizes of the SigLIP tower. Layers above the highest feature level are not built.
        text_config: Sizes of the Qwen2 language model.
        feature_levels: Which hidden states of the tower the difference module reads, ascending: 0 is the patch and
            position embedding, n the output of block n. The last one also feeds the projector directly.
        difference_depth: Number of change-aware layers. 0 leaves the whole module out, as in plain LLaVA-OneVision: the
            last level goes to the projector as the tower made it (the paper's baseline, for ablations).
        difference_head_dim: Width of one attention head in the difference module.
        difference_mlp_dim: Inner width of the difference module's MLP.
        difference_norm: Whether the levels go through a LayerNorm on their way into the difference module. CCExpert's do
            not. Without it a tower that is trained from nothing drives the module's attention into saturation.
        projector_hidden_act: Activation between the projector's two layers.
        image_token_id: Token id that holds the place of one image feature. It may lie outside the vocabulary.
        tie_word_embeddings: Whether the language model's head is its embedding table. Left out, as `text_config` says.
        change_head: Whether the model also says, per pair and per image token, if the ground changed.
        scout_config: Sizes of a change scout that looks at each pair beside the tower (`geocc.model.scout_branch`); None, as in
            every published CCExpert, for none. Its `image_size` is the tower's or larger: a network of convolutions gains more from
            finer pixels than a tower of a few hundred tokens, which then gets them averaged.

    Raises:
        InputError: If the sizes do not fit each other.
    """

    model_type = "geocc_ccexpert"
    sub_configs: ClassVar[dict[str, Any]] = {
        "vision_config": SiglipVisionConfig,
        "text_config": Qwen2Config,
        "scout_config": ChangeScoutConfig,
    }

    vision_config: Any = None  # given as a dict, a configuration or None; a SiglipVisionConfig afterwards
    text_config: Any = None  # likewise, a Qwen2Config afterwards
    feature_levels: list[int] = field(default_factory=lambda: [17, 20, 23, 26])
    difference_depth: int = 2
    difference_head_dim: int = 128
    difference_mlp_dim: int = 4608
    difference_norm: bool = False
    projector_hidden_act: str = "gelu"
    image_token_id: int = 151646
    tie_word_embeddings: bool | None = None
    change_head: bool = False
    scout_config: Any = None  # given as a dict, a configuration or None; a ChangeScoutConfig or None afterwards

    def __post_init__(self, **kwargs: Any) -> None:
        """Build the two sub-configurations and check that all sizes fit each other."""
        vision = _SO400M if self.vision_config is None else self.vision_config
        text = _QWEN2 | _QWEN2_SIZES["0.5b"] if self.text_config is None else self.text_config
        if isinstance(vision, dict):
            vision = SiglipVisionConfig(**{"vision_use_head": False} | vision)
        if isinstance(text, dict):
            text = Qwen2Config(**text)
        self.vision_config, self.text_config = vision, text
        if self.tie_word_embeddings is None:
            self.tie_word_embeddings = bool(text.tie_word_embeddings)
        text.tie_word_embeddings = self.tie_word_embeddings
        self.feature_levels = [int(level) for level in self.feature_levels]
        _check_grid(vision)
        _check_levels(self.feature_levels, layers=vision.num_hidden_layers)
        _check_difference(self, width=vision.hidden_size)
        if isinstance(self.scout_config, dict):
            self.scout_config = ChangeScoutConfig(**self.scout_config)
        if self.scout_config is not None:
            _check_scout(self.scout_config, vision=vision, grid=self.grid_size)
        super().__post_init__(**kwargs)

    @classmethod
    def ccexpert(cls, size: str, **kwargs: Any) -> CCExpertConfig:
        """Return the configuration of a published CCExpert.

        Args:
            size: `"0.5b"` or `"7b"`.
            **kwargs: Fields to set otherwise.

        Raises:
            InputError: If there is no such size.
        """
        if size.lower() not in _QWEN2_SIZES:
            raise InputError(f"CCExpert comes in the sizes {', '.join(_QWEN2_SIZES)}, not {size!r}")
        text = _QWEN2 | _QWEN2_SIZES[size.lower()]
        fields: dict[str, Any] = {"vision_config": dict(_SO400M), "text_config": text}
        return cls(**fields | kwargs)

    @property
    def grid_size(self) -> int:
        """Image tokens per side: the floor of image size over patch size, both in pixels."""
        return int(self.vision_config.image_size // self.vision_config.patch_size)

    @property
    def input_size(self) -> int:
        """Side in pixels of the images that the model is given: the tower's, or that of a scout that looks closer."""
        scout: ChangeScoutConfig | None = self.scout_config
        return int(self.vision_config.image_size if scout is None else scout.image_size)

    @property
    def tokens_per_image(self) -> int:
        """Image tokens per date, and so placeholders per image slot."""
        return self.grid_size**2


def _check_grid(vision: SiglipVisionConfig) -> None:
    size, patch = vision.image_size, vision.patch_size
    if not (isinstance(size, int) and isinstance(patch, int) and size >= patch > 0):
        raise InputError(
            f"the tower's image_size {size!r} and patch_size {patch!r} must be one number of pixels each, the patch no "
            "larger than the image: the difference module needs a square grid of tokens"
        )


def _check_levels(levels: list[int], *, layers: int) -> None:
    if not levels or sorted(set(levels)) != levels or levels[0] < 0 or levels[-1] > layers:
        raise InputError(
            f"feature_levels {levels} must be ascending, distinct and between 0 (the embedding) and {layers} (the last "
            f"block of a tower with num_hidden_layers={layers})"
        )


def _check_difference(config: CCExpertConfig, *, width: int) -> None:
    if config.difference_head_dim < 1 or width % config.difference_head_dim:
        raise InputError(
            f"the tower's hidden_size {width} is not a multiple of difference_head_dim {config.difference_head_dim}; "
            f"set difference_head_dim to a divisor of {width}"
        )
    if width % 4:
        raise InputError(
            f"the tower's hidden_size {width} is not a multiple of 4, which a sine and a cosine per axis need"
        )
    if config.difference_depth < 0:
        raise InputError(
            f"difference_depth is {config.difference_depth}; expected the number of change-aware layers, or 0 for none"
        )


def _check_scout(scout: ChangeScoutConfig, *, vision: SiglipVisionConfig, grid: int) -> None:
    image_size: Any = vision.image_size  # `_check_grid` saw to it that it is one number
    if scout.image_size < image_size or image_size // CELL % grid:
        raise InputError(
            f"a scout of image_size {scout.image_size} was given to a tower of image_size {image_size} with {grid} tokens per "
            f"side; expected one of at least {image_size}, and tokens per side that divide {image_size // CELL}, the tower's "
            "pixels by those of a cell, or scout_config=None"
        )
