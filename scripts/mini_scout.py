"""Put a change scout into a trained geocc-mini, for a last leg of training in which the model learns to read it.

python scripts/mini_scout.py MODEL OUT --scout geocc/model/weights/geocc-scout
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from torch import nn

from geocc.model import CCExpertConfig, CCExpertForConditionalGeneration, CCExpertProcessor, load_scout

SCOUT = Path(__file__).parent.parent / "geocc/model/weights/geocc-scout"
PAIR_SHARE = 0.5
"""Share of the scout's logit in the model's at the start."""


def main() -> None:
    """Write the model with its scout."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--scout", type=Path, default=SCOUT)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    add_scout(arguments.model, arguments.out, scout=arguments.scout, seed=arguments.seed)


def add_scout(folder: Path, out: Path, *, scout: Path = SCOUT, seed: int = 0) -> None:
    """Write a model that has a scout, whose words are still those of the model without.

    Args:
        folder: The model without.
        out: Folder of the model with a scout.
        scout: Folder of the scout.
        seed: Seed of the layers that read it.
    """
    model = CCExpertForConditionalGeneration.from_pretrained(folder, dtype="float32")
    folded = load_scout(scout).folded()
    folded.config.margin = 0  # a margin makes the images that it looks at 2.25 times as large; it gets one once trained
    config = CCExpertConfig.from_dict(model.config.to_dict() | {"scout_config": folded.config.to_diff_dict()})
    torch.manual_seed(seed)
    with_scout = CCExpertForConditionalGeneration(config)
    branch = with_scout.model.scout_branch
    branch.scout.load_state_dict(folded.state_dict())
    with torch.no_grad():
        # The tokens that go to the words start as they were; the change map starts with a whisper of the scout in it.
        for layer in (branch.image_a, branch.image_b):
            nn.init.zeros_(layer.weight)
        branch.pair.weight.fill_(PAIR_SHARE)
    missing, strange = with_scout.load_state_dict(model.state_dict(), strict=False)
    if strange or any(not name.startswith("model.scout_branch.") for name in missing):
        raise SystemExit(f"{folder} is of another shape: {missing} are missing, {strange} too many")
    with_scout.generation_config = model.generation_config
    with_scout.save_pretrained(out)
    CCExpertProcessor.from_pretrained(folder).save_pretrained(out)


if __name__ == "__main__":
    main()
