"""How other layouts name the tensors of CCExpert.

Names are matched by their ends, because the prefixes change with the trainer and with every few versions of
Transformers. The layouts are the reference's `llava_qwen_cc`, LLaVA-OneVision's original, and Transformers' own for it.
"""

from __future__ import annotations

import re

__all__ = ["dead_reason", "own_name"]

_ATTENTION = {
    "change_self_attn": "self_attention",
    "cross_attn_change_to_imageABC": "change_to_images",
    "cross_attn_imageAB_to_change": "image_to_change",
}
_FLAGS = {"image_a_flag_embed": "flag_a", "image_b_flag_embed": "flag_b", "change_flag_embed": "flag_change"}

_VISION = r"(?:^|\.)vision_tower\.(?:vision_tower\.)?(?:vision_model\.)?"
_RESAMPLER = r"(?:^|\.)vision_resampler\."
# Any prefix will do, so long as it does not lead into another part.
_TEXT = r"^(?:(?!\w*(?:vision|resampler|tower|projector))\w+\.)*"

_NAMES: tuple[tuple[str, str], ...] = (
    (_VISION + r"(embeddings\..+)$", r"model.vision_tower.\1"),
    (_VISION + r"encoder\.(layers\..+)$", r"model.vision_tower.\1"),
    (
        _RESAMPLER + r"expert_change_feature_extractor_model\.linear_mapping\.(\w+)$",
        r"model.difference.extractor.gate.\1",
    ),
    (_RESAMPLER + r"expert_change_feature_extractor_model\.proj\.(\w+)$", r"model.difference.extractor.proj.\1"),
    *(
        (_RESAMPLER + rf"layers\.(\d+)\.{theirs}\.(.+)$", rf"model.difference.layers.\1.{ours}.\2")
        for theirs, ours in (_ATTENTION | _FLAGS).items()
    ),
    (_RESAMPLER + r"layers\.(\d+)\.(mlp\.lin[12]\.\w+|norm[123]\.\w+)$", r"model.difference.layers.\1.\2"),
    (_RESAMPLER + r"ChangeAwareTokenReduce\.feature_map_level_gate\.0\.(\w+)$", r"model.difference.fusion.lin1.\1"),
    (_RESAMPLER + r"ChangeAwareTokenReduce\.feature_map_level_gate\.2\.(\w+)$", r"model.difference.fusion.lin2.\1"),
    (r"(?:^|\.)mm_projector\.0\.(\w+)$", r"model.projector.linear_1.\1"),
    (r"(?:^|\.)mm_projector\.2\.(\w+)$", r"model.projector.linear_2.\1"),
    (r"(?:^|\.)multi_modal_projector\.(linear_[12]\.\w+)$", r"model.projector.\1"),
    (r"(?:^|\.)lm_head\.weight$", "lm_head.weight"),
    (_TEXT + r"(embed_tokens\.weight|layers\.\d+\..+|norm\.weight)$", r"model.language_model.\1"),
)

_DEAD: tuple[tuple[str, str], ...] = (
    (_VISION + r"post_layernorm\.", "SigLIP's last norm: CCExpert reads block outputs, which come before it"),
    (_VISION + r"head\.", "SigLIP's pooling head: CCExpert reads tokens, not the pooled image"),
    (_VISION + r"embeddings\.position_ids$", "a list of numbers, made anew"),
    (_RESAMPLER + r"layers\.\d+\.norm4\.", "the reference builds a fourth norm and never calls it"),
    (_RESAMPLER + r"ChangeAwareTokenReduce\.(?:change_for_key_proj|cross_attn)\.", "the reference never calls it"),
    (r"(?:^|\.)mm_cc_projector\.", "the reference builds a second projector and never calls it"),
    (r"(?:^|\.)image_newline$", "LLaVA's row separator, which an image squashed to one square does not need"),
    (r"(?:^|\.)rotary_emb\.inv_freq$", "computed from the configuration"),
)

_VISION_LAYER = re.compile(_VISION + r"encoder\.layers\.(\d+)\.")
_COMPILED_NAMES = tuple((re.compile(pattern), ours) for pattern, ours in _NAMES)
_COMPILED_DEAD = tuple((re.compile(pattern), why) for pattern, why in _DEAD)


def own_name(name: str) -> str | None:
    """Return geocc's name for a tensor of another layout, or None if no live part of CCExpert is called so."""
    for pattern, ours in _COMPILED_NAMES:
        if match := pattern.search(name):
            return match.expand(ours)
    return None


def dead_reason(name: str, *, vision_layers: int) -> str | None:
    """Return why a tensor of another layout is left out, or None if it is not known to be dead.

    Args:
        name: Its name in the other layout.
        vision_layers: Number of tower blocks that the model reads.
    """
    if (match := _VISION_LAYER.search(name)) and int(match[1]) >= vision_layers:
        return f"tower blocks above number {vision_layers} feed no feature level"
    return next((why for pattern, why in _COMPILED_DEAD if pattern.search(name)), None)
