"""CCExpert's three stages of training, LoRA, fine-tuning on one's own region, and the change scout.

Names are imported when they are first used, so that `import geocc.training` brings neither torch nor Transformers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import lazy_loader

if TYPE_CHECKING:
    from geocc.training.adapters import add_adapters, is_adapter, load_adapter, merge_adapter
    from geocc.training.augmentation import Augmentation
    from geocc.training.collator import PairCollator
    from geocc.training.configuration import Data, Evaluation, Lora, TrainingConfig, load_config
    from geocc.training.dataset import PairDataset
    from geocc.training.generation import CaptionEvaluation
    from geocc.training.grafting import graft, save_part
    from geocc.training.optimizer import parameter_groups
    from geocc.training.packing import PackedCollator
    from geocc.training.parts import PARTS, Part, count_parameters, part_of, set_trainable
    from geocc.training.plan import TrainingPlan, plan_training
    from geocc.training.recipes import Stage1, Stage2, Stage3
    from geocc.training.run import TrainingResult, latest_checkpoint, train
    from geocc.training.scout import ScoutExample, ScoutRecipe, StoredPairs, read_example, store_pairs, train_scout
    from geocc.training.trainer import CCExpertTrainer

__all__ = [
    "PARTS",
    "Augmentation",
    "CCExpertTrainer",
    "CaptionEvaluation",
    "Data",
    "Evaluation",
    "Lora",
    "PackedCollator",
    "PairCollator",
    "PairDataset",
    "Part",
    "ScoutExample",
    "ScoutRecipe",
    "Stage1",
    "Stage2",
    "Stage3",
    "StoredPairs",
    "TrainingConfig",
    "TrainingPlan",
    "TrainingResult",
    "add_adapters",
    "count_parameters",
    "graft",
    "is_adapter",
    "latest_checkpoint",
    "load_adapter",
    "load_config",
    "merge_adapter",
    "parameter_groups",
    "part_of",
    "plan_training",
    "read_example",
    "save_part",
    "set_trainable",
    "store_pairs",
    "train",
    "train_scout",
]

__getattr__, __dir__, _ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "adapters": ["add_adapters", "is_adapter", "load_adapter", "merge_adapter"],
        "augmentation": ["Augmentation"],
        "collator": ["PairCollator"],
        "configuration": ["Data", "Evaluation", "Lora", "TrainingConfig", "load_config"],
        "dataset": ["PairDataset"],
        "generation": ["CaptionEvaluation"],
        "grafting": ["graft", "save_part"],
        "optimizer": ["parameter_groups"],
        "packing": ["PackedCollator"],
        "parts": ["PARTS", "Part", "count_parameters", "part_of", "set_trainable"],
        "plan": ["TrainingPlan", "plan_training"],
        "recipes": ["Stage1", "Stage2", "Stage3"],
        "run": ["TrainingResult", "latest_checkpoint", "train"],
        "scout": ["ScoutExample", "ScoutRecipe", "StoredPairs", "read_example", "store_pairs", "train_scout"],
        "trainer": ["CCExpertTrainer"],
    },
)
