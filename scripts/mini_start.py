"""The start of geocc-mini: a tokenizer trained on the captions, and fresh weights in geocc-mini's sizes.

python scripts/mini_start.py FOLDER --records DATA/synthetic.jsonl DATA/real/real.jsonl
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from torch import nn
from transformers import GenerationConfig, PreTrainedTokenizerFast

from geocc.data.records import read_records
from geocc.data.synthetic import NO_CHANGE
from geocc.model import CCExpertConfig, CCExpertForConditionalGeneration, CCExpertProcessor
from geocc.model.chat import END_OF_TURN, PROMPT, SYSTEM_PROMPT

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

INPUT_PX = 128
TOKENS = 8
WIDTH = 192
VOCABULARY = 768
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<image>"]
DEPTH = 2
LEVELS = [1, 3, 5]
BEAMS = 3


def main() -> None:
    """Write the start."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--records", type=Path, nargs="+", required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--depth", type=int, default=DEPTH, help="layers of the difference module; 0 for none")
    parser.add_argument("--levels", type=int, nargs="+", default=LEVELS, help="vision layers that it looks at")
    arguments = parser.parse_args()
    save_start(arguments.folder, arguments.records, seed=arguments.seed, depth=arguments.depth, levels=arguments.levels)


def save_start(
    folder: Path, records: Iterable[Path], *, seed: int, depth: int = DEPTH, levels: list[int] | None = None
) -> None:
    """Write tokenizer, processor and fresh weights.

    Args:
        folder: Where to.
        records: Files of records, whose captions the tokenizer is trained on.
        seed: Seed of the weights.
        depth: Layers of the difference module; 0 for none.
        levels: Vision layers that it looks at.
    """
    tokenizer = train_tokenizer(records)
    config = make_config(tokenizer, depth=depth, levels=levels or LEVELS)
    model = make_model(config, seed=seed)
    text = config.text_config
    model.generation_config = GenerationConfig(
        eos_token_id=text.eos_token_id,
        pad_token_id=text.pad_token_id,
        max_new_tokens=64,
        do_sample=False,
        num_beams=BEAMS,
    )
    model.save_pretrained(folder)
    CCExpertProcessor.from_config(config, tokenizer=tokenizer).save_pretrained(folder)
    print(f"{sum(p.numel() for p in model.parameters()) / 1e6:.2f} M parameters, {len(tokenizer)} tokens", flush=True)


def train_tokenizer(records: Iterable[Path]) -> PreTrainedTokenizerFast:
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
    tokenizer.train_from_iterator(_texts(records), trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token=END_OF_TURN,
        pad_token=SPECIAL[0],
        additional_special_tokens=["<|im_start|>", "<image>"],
        model_max_length=1024,
        clean_up_tokenization_spaces=False,
    )


def make_config(tokenizer: PreTrainedTokenizerFast, *, depth: int, levels: list[int]) -> CCExpertConfig:
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
        feature_levels=levels,
        difference_depth=depth,
        difference_head_dim=64,
        difference_mlp_dim=3 * WIDTH,
        difference_norm=True,
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


def _texts(records: Iterable[Path]) -> Iterator[str]:
    asked = PROMPT.replace("<image>", "")
    yield from [f"system\n{SYSTEM_PROMPT}", f"user\n{asked}", "assistant\n"] * 500
    yield from NO_CHANGE * 200
    for path in records:
        for record in read_records(path):
            yield from record.change_caption


if __name__ == "__main__":
    main()
