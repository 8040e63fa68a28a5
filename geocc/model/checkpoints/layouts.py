"""From the config.json of a known layout to geocc's configuration."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING, Any

from transformers import LlavaOnevisionConfig, Qwen2Config

from geocc.errors import CheckpointError, InputError
from geocc.model.checkpoints.names import own_name
from geocc.model.checkpoints.towers import tower_sizes
from geocc.model.configuration import CCExpertConfig

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping

    from geocc.model.checkpoints.files import WeightFiles

__all__ = ["OWN", "REFERENCE", "is_base", "layout_of", "own_config"]

OWN = "geocc's own layout"
REFERENCE = "CCExpert's llava_qwen_cc layout"
ORIGINAL = "LLaVA-OneVision's original layout"
TRANSFORMERS = "LLaVA-OneVision in Transformers' layout"

# CCExpert reads the last level that LLaVA feeds its projector, and those 3, 6 and 9 blocks below it.
_BELOW_LAST = (9, 6, 3, 0)
_LLAVA_SELECT_LAYER = -2


def layout_of(config: Mapping[str, Any]) -> str:
    """Say which layout a config.json belongs to.

    Raises:
        CheckpointError: If it is none that geocc knows.
    """
    kind = config.get("model_type")
    if kind == CCExpertConfig.model_type:
        return OWN
    if kind == "llava_onevision":
        return TRANSFORMERS
    if kind == "llava_qwen_cc" or config.get("mm_resampler_type") == "cc_expert":
        return REFERENCE
    if "mm_vision_tower" in config and "num_key_value_heads" in config:
        return ORIGINAL
    raise CheckpointError(
        f"config.json describes a model of type {kind!r}, which is neither CCExpert (llava_qwen_cc), nor LLaVA-OneVision "
        f"on Qwen2, nor {CCExpertConfig.model_type}"
    )


def is_base(layout: str) -> bool:
    """Say whether the layout is that of a LLaVA-OneVision base, which has no difference module yet."""
    return layout in {ORIGINAL, TRANSFORMERS}


def own_config(
    config: dict[str, Any],
    *,
    files: WeightFiles,
    vision_config: Mapping[str, Any] | str | os.PathLike[str] | None = None,
) -> CCExpertConfig:
    """Translate a config.json of any known layout.

    Args:
        config: Its content.
        files: The weights beside it, which decide on the rows of the vocabulary and on a head of its own.
        vision_config: The tower's configuration, where config.json names a tower that geocc does not know.

    Raises:
        CheckpointError: If the layout is unknown, or the model is one that geocc does not build.
    """
    layout = layout_of(config)
    config = _without_code(config)
    try:
        if layout == OWN:
            return CCExpertConfig.from_dict(config)
        if layout == TRANSFORMERS:
            return _from_transformers(config, files=files)
        return _from_llava(config, files=files, vision_config=vision_config)
    except (InputError, TypeError, AttributeError) as error:
        raise CheckpointError(f"config.json in {files.folder} does not describe a model: {error}") from error


def _without_code(config: dict[str, Any]) -> dict[str, Any]:
    """Drop what could make Transformers fetch and run code that a checkpoint names, such as an attention kernel."""
    if config.get("quantization_config"):
        raise CheckpointError("the checkpoint is quantized; geocc reads float32, float16 and bfloat16 weights")
    kept = {key: value for key, value in config.items() if not key.endswith(("_implementation", "auto_map"))}
    return {key: _without_code(value) if isinstance(value, dict) else value for key, value in kept.items()}


def _from_transformers(config: dict[str, Any], *, files: WeightFiles) -> CCExpertConfig:
    base: Any = LlavaOnevisionConfig(**{key: value for key, value in config.items() if key != "model_type"})
    vision, text = base.vision_config.to_dict(), base.text_config.to_dict()
    if vision["model_type"] != "siglip_vision_model" or text["model_type"] != "qwen2":
        raise CheckpointError(
            f"a tower {vision['model_type']!r} with {text['model_type']!r}; SigLIP with Qwen2 is needed"
        )
    if not isinstance(base.vision_feature_layer, int):
        raise CheckpointError(f"vision_feature_layer is {base.vision_feature_layer}; one layer is needed for a start")
    levels = _fresh_levels(base.vision_feature_layer, layers=vision["num_hidden_layers"])
    return CCExpertConfig(
        vision_config=vision | {"num_hidden_layers": levels[-1], "vision_use_head": False},
        text_config=text | _vocabulary(files),
        tie_word_embeddings=bool(base.tie_word_embeddings or base.text_config.tie_word_embeddings),
        feature_levels=levels,
        projector_hidden_act=base.projector_hidden_act,
        image_token_id=base.image_token_index,
        **_difference_sizes({}, width=vision["hidden_size"]),
    )


def _from_llava(
    config: dict[str, Any], *, files: WeightFiles, vision_config: Mapping[str, Any] | str | os.PathLike[str] | None
) -> CCExpertConfig:
    if (projector := config.get("mm_projector_type")) != "mlp2x_gelu":
        raise CheckpointError(f"mm_projector_type is {projector!r}; CCExpert's is 'mlp2x_gelu'")
    vision = tower_sizes(config.get("mm_vision_tower"), vision_config=vision_config)
    selected = config.get("mm_vision_select_layer", _LLAVA_SELECT_LAYER)
    selected = json.loads(selected) if isinstance(selected, str) else selected  # the reference stores the list as text
    layers = int(vision["num_hidden_layers"])
    if isinstance(selected, int):
        levels = _fresh_levels(selected, layers=layers)
    else:
        levels = [_absolute(level, layers=layers) for level in selected]
    known = {field.name for field in dataclasses.fields(Qwen2Config)} | {"rope_theta", "rope_scaling"}
    text = {key: value for key, value in config.items() if key in known - {"architectures", "transformers_version"}}
    return CCExpertConfig(
        vision_config=vision | {"num_hidden_layers": levels[-1], "vision_use_head": False},
        text_config=text | _vocabulary(files),
        tie_word_embeddings=bool(config.get("tie_word_embeddings", not _has_head(files))),
        feature_levels=levels,
        **_difference_sizes(config.get("cc_expert_args") or {}, width=int(vision["hidden_size"])),
    )


def _absolute(level: int, *, layers: int) -> int:
    return level if level >= 0 else layers + 1 + level


def _fresh_levels(last: int, *, layers: int) -> list[int]:
    top = _absolute(last, layers=layers)
    return sorted({max(top - below, 0) for below in _BELOW_LAST})


def _difference_sizes(args: Mapping[str, Any], *, width: int) -> dict[str, Any]:
    """Sizes of the difference module, from `cc_expert_args` where it holds them and the reference's code otherwise."""
    if args.get("downsample_ratio", 1) != 1:
        raise CheckpointError(
            f"downsample_ratio is {args['downsample_ratio']}; the reference runs only with 1, and so does geocc"
        )
    if args.get("embedding_dim", width) != width:
        raise CheckpointError(
            f"the difference module is {args['embedding_dim']} wide but the tower {width}; give "
            "the config.json of its own tower as vision_config= (geocc convert --vision-config)"
        )
    return {
        "difference_depth": int(args.get("per_expert_depth", 2)),
        "difference_mlp_dim": int(args.get("mlp_dim", 4608)),
        "difference_head_dim": 128,
    }


def _vocabulary(files: WeightFiles) -> dict[str, int]:
    """Rows of the embedding: the reference's loader crops them to the tokenizer, Transformers pads them."""
    rows = [
        shape[0] for name, shape in files.shapes.items() if own_name(name) == "model.language_model.embed_tokens.weight"
    ]
    return {"vocab_size": rows[0]} if rows else {}


def _has_head(files: WeightFiles) -> bool:
    return any(own_name(name) == "lm_head.weight" for name in files.shapes)
