"""A tiny random CCExpert with a processor."""

from __future__ import annotations

import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from geocc.model import CCExpertConfig, CCExpertForConditionalGeneration, CCExpertProcessor

SCOUT = {"image_size": 32, "stem_width": 4, "widths": [8, 8], "depths": [1, 1], "merged_width": 4, "folded": True}
MARKERS = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<image>"]


def tokenizer() -> PreTrainedTokenizerFast:
    """Bytes, without merges: short, and able to write anything."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    made = Tokenizer(models.BPE({char: i for i, char in enumerate(alphabet)}, merges=[]))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    made.add_special_tokens([AddedToken(marker, special=True, normalized=False) for marker in MARKERS])
    return PreTrainedTokenizerFast(tokenizer_object=made, pad_token=MARKERS[0], eos_token=MARKERS[2])


def make(
    *, change_head: bool = True, scout: bool | int = False, covers: tuple[str, ...] = (), seed: int = 0
) -> tuple[CCExpertForConditionalGeneration, CCExpertProcessor]:
    """Make a model whose weights follow from the seed, and its processor; `scout` may be the side that a scout looks at, `covers` what it tells."""
    words = tokenizer()
    config = CCExpertConfig(
        vision_config={
            "hidden_size": 16,
            "intermediate_size": 16,
            "num_hidden_layers": 4,
            "num_attention_heads": 2,
            "image_size": 32,
            "patch_size": 8,
        },
        text_config={
            "vocab_size": len(words),
            "hidden_size": 16,
            "intermediate_size": 16,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "num_key_value_heads": 1,
            "pad_token_id": words.pad_token_id,
            "eos_token_id": words.eos_token_id,
            "tie_word_embeddings": True,
        },
        feature_levels=[1, 2, 3, 4],
        difference_head_dim=8,
        difference_mlp_dim=16,
        image_token_id=words.convert_tokens_to_ids("<image>"),
        change_head=change_head,
        scout_config=SCOUT | {"covers": covers} | ({} if scout is True else {"image_size": scout}) if scout else None,
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = CCExpertForConditionalGeneration(config)
        # Spread what a fresh model says: the usual 0.02 gives the same answer to every image.
        for parameter in model.parameters():
            parameter.data.add_(torch.randn_like(parameter) * 0.2)
    return model.eval(), CCExpertProcessor.from_config(config, tokenizer=words)
