"""geocc-mini's tokenizer, sizes and fresh weights."""

from __future__ import annotations

import numpy as np
import torch
from mini_data import INPUT_PX, KINDS, TOKENS
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from torch import nn
from transformers import PreTrainedTokenizerFast

from geocc.data.synthetic import NO_CHANGE, Fact, write_caption
from geocc.model import CCExpertConfig, CCExpertForConditionalGeneration, CCExpertProcessor
from geocc.model.chat import END_OF_TURN, PROMPT, SYSTEM_PROMPT

SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<image>"]
WIDTH = 192
VOCABULARY = 512


def make_processor(config: CCExpertConfig, tokenizer: PreTrainedTokenizerFast) -> CCExpertProcessor:
    """Return the processor of the mini model."""
    return CCExpertProcessor.from_config(config, tokenizer=tokenizer)


def train_tokenizer() -> PreTrainedTokenizerFast:
    """Train a byte-level BPE on captions and on the one prompt; any other text falls back to bytes."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=SPECIAL,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    asked = PROMPT.replace("<image>", "")
    texts = [*_captions(), *NO_CHANGE * 200, *[f"system\n{SYSTEM_PROMPT}", f"user\n{asked}", "assistant\n"] * 500]
    tokenizer.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token=END_OF_TURN,
        pad_token=SPECIAL[0],
        additional_special_tokens=["<|im_start|>", "<image>"],
        model_max_length=1024,
        clean_up_tokenization_spaces=False,
    )


def make_config(tokenizer: PreTrainedTokenizerFast) -> CCExpertConfig:
    """Return the sizes of the mini model."""
    return CCExpertConfig(
        vision_config={
            "hidden_size": WIDTH,
            "intermediate_size": 3 * WIDTH,
            "num_hidden_layers": 5,
            "num_attention_heads": WIDTH // 64,
            "image_size": INPUT_PX,
            "patch_size": INPUT_PX // TOKENS,
        },
        text_config={
            "hidden_size": WIDTH,
            "intermediate_size": 3 * WIDTH,
            "num_hidden_layers": 4,
            "num_attention_heads": WIDTH // 64,
            "num_key_value_heads": WIDTH // 64,
            "vocab_size": VOCABULARY,
            "max_position_embeddings": 1024,
            "tie_word_embeddings": True,
            "bos_token_id": None,
            "eos_token_id": tokenizer.eos_token_id,
            "pad_token_id": tokenizer.pad_token_id,
        },
        feature_levels=[1, 3, 5],
        difference_depth=2,
        difference_head_dim=64,
        difference_mlp_dim=3 * WIDTH,
        image_token_id=tokenizer.convert_tokens_to_ids("<image>"),
        change_head=True,
    )


def make_model(config: CCExpertConfig, *, seed: int) -> CCExpertForConditionalGeneration:
    """Return a model with fresh weights; linear layers start at the scale that a narrow model wants."""
    torch.manual_seed(seed)
    model = CCExpertForConditionalGeneration(config)
    for name, module in model.named_modules():
        if isinstance(module, nn.Linear) and "lm_head" not in name:
            nn.init.normal_(module.weight, std=(2 / sum(module.weight.shape)) ** 0.5)
        elif isinstance(module, nn.Conv2d):
            nn.init.normal_(module.weight, std=(1 / module.weight[0].numel()) ** 0.5)
    return model


class Tutor(nn.Module):
    """Heads that only training sees: which kind of change lies at every token, and where the token itself lies.

    One reads the change map. The others read what the language model is given, so that the news of a change, and its
    place, also get there.
    """

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(WIDTH)
        self.change = nn.Linear(WIDTH, len(KINDS))
        self.images = nn.Linear(2 * WIDTH, len(KINDS))
        self.place = nn.Linear(WIDTH, 2 * TOKENS)

    def forward(self, change: torch.Tensor, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return the logits of kinds, from the change map and from the image features, and those of places.

        Args:
            change: `(B, N, D)`, the change map.
            images: `(B, T=2, N, D)`, what the language model is given.

        Returns:
            Twice `(B, N, kinds)`, and `(B, T=2, N, 2, TOKENS)` for the row and the column of every token.
        """
        both = torch.cat([images[:, 0], images[:, 1]], dim=-1)
        return self.change(self.norm(change)), self.images(both), self.place(images).unflatten(-1, (2, TOKENS))


def _captions() -> list[str]:
    """Return captions of random facts."""
    rng = np.random.default_rng(1)
    captions = []
    for _ in range(4000):
        facts = []
        for kind in rng.choice(len(KINDS), size=int(rng.integers(0, 3)), replace=False):
            category, direction = KINDS[kind]
            x, y, width, height = rng.random(4)
            facts.append(
                Fact(
                    category=category,
                    direction=direction,
                    count=int(rng.integers(1, 5)),
                    large=bool(rng.random() < 0.3),
                    x=x,
                    y=y,
                    width=width,
                    height=height,
                    fraction=0.1,
                )
            )
        captions.append(write_caption(facts, rng, plain=0.5))
    return captions
