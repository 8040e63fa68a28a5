"""Put a change scout into a trained geocc-mini, for a leg of training in which the model learns to read it.

A model that has one gets the other in its place and goes on reading it as it did.

python scripts/mini_scout.py MODEL OUT --scout geocc/model/weights/geocc-scout
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

import torch
from torch import nn

from geocc.model import CCExpertConfig, CCExpertForConditionalGeneration, CCExpertProcessor, load_scout
from geocc.training.tutor import TUTOR_FILE

SCOUT = Path(__file__).parent.parent / "geocc/model/weights/geocc-scout"
_BRANCH = "model.scout_branch."
_SCOUT = f"{_BRANCH}scout."
_COVERS = f"{_BRANCH}covers."
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


def add_scout(folder: Path, out: Path, *, scout: Path = SCOUT, seed: int = 0, covers: bool = True) -> None:
    """Write a model that has this scout; the words of one that had none are still what they were.

    Args:
        folder: The model without, or with another.
        out: Folder of the model with the scout.
        scout: Folder of the scout.
        seed: Seed of the layers that read it.
        covers: Whether it tells what stood and stands where the ground changed, and the model hears that.
    """
    model = CCExpertForConditionalGeneration.from_pretrained(folder, dtype="float32")
    found = load_scout(scout)
    folded = (found if covers else found.knowing(())).folded()
    config = CCExpertConfig.from_dict(model.config.to_dict() | {"scout_config": folded.config.to_diff_dict()})
    torch.manual_seed(seed)
    with_scout = CCExpertForConditionalGeneration(config)
    branch = with_scout.model.scout_branch
    weights = {name: tensor for name, tensor in model.state_dict().items() if not name.startswith(_SCOUT)}
    missing, strange = with_scout.load_state_dict(weights, strict=False)
    new = (_BRANCH,) if model.config.scout_config is None else (_SCOUT, _COVERS)
    if strange or any(not name.startswith(new) for name in missing):
        raise SystemExit(f"{folder} is of another shape: {missing} are missing, {strange} too many")
    branch.scout.load_state_dict(folded.state_dict())
    if f"{_COVERS}weight" in missing:
        nn.init.zeros_(branch.covers.weight)
    if model.config.scout_config is None:
        with torch.no_grad():
            # The tokens that go to the words start as they were; the change map starts with a whisper of the scout in it.
            for layer in (branch.image_a, branch.image_b):
                nn.init.zeros_(layer.weight)
            branch.pair.weight.fill_(PAIR_SHARE)
    with_scout.generation_config = model.generation_config
    with_scout.save_pretrained(out)
    words = CCExpertProcessor.from_pretrained(folder)
    CCExpertProcessor.from_config(config, tokenizer=words.tokenizer, prompt=words.prompt).save_pretrained(out)
    if (folder / TUTOR_FILE).exists():  # fresh heads would pull a trained tower about until they know their lesson
        shutil.copy2(folder / TUTOR_FILE, out)


if __name__ == "__main__":
    main()
