"""The golden numbers under ../shared/parity, and what they say of tolerances."""

from __future__ import annotations

import json
from fnmatch import fnmatch
from pathlib import Path

import torch
from safetensors.torch import load_file

ROOT = Path(__file__).parents[2].parent / "shared" / "parity"
REFERENCE_IMAGE = -200

# What ../shared/parity/public/README.json suggests, for a set that comes without a README.
TOLERANCES = {
    "hidden/*": 3e-5,
    "diff/image_*": 6e-5,
    "diff/change_fused": 2e-5,
    "diff/gate": 2e-6,
    "projector/*": 2e-5,
    "prepare/inputs_embeds": 2e-5,
    "logits*": 1.5e-4,
    "loss": 5e-6,
    "generate/step_logits_*": 1.5e-4,
}


def sets():
    """Every folder of golden numbers, however many there are."""
    return sorted(path.parent for path in ROOT.glob("*/expected.safetensors"))


def forms(folder):
    """Every form in which the folder holds the checkpoint."""
    return sorted(path.parent for path in folder.glob("*/config.json") if path.parent.name.startswith("checkpoint"))


class Golden:
    """One folder of golden numbers."""

    def __init__(self, folder):
        self.folder = folder
        self.inputs = load_file(folder / "inputs.safetensors")
        self.expected = load_file(folder / "expected.safetensors")
        readme = folder / "README.json"
        noted = json.loads(readme.read_text()).get("suggested_tolerance_max_abs", {}) if readme.is_file() else {}
        self.tolerances = noted.get("float32", TOLERANCES)

    def tolerance(self, name):
        """The largest difference to allow."""
        patterns = {pattern.split(" ")[0]: value for pattern, value in self.tolerances.items()}
        return next(value for pattern, value in patterns.items() if fnmatch(name, pattern))

    def pixel_values(self):
        """(B, T=2, C, H, W)."""
        return torch.stack([self.inputs["pixel_values_A"], self.inputs["pixel_values_B"]], dim=1)

    def prompts(self, config):
        """The prompts of `generate`, placeholders written out."""
        count = len(self.inputs["pixel_values_A"])
        return [expand(self.inputs[f"generate/input_ids_{i}"][0], config)[0] for i in range(count)]

    def batch(self, config):
        """The padded batch of the reference, placeholders written out: input_ids, attention_mask, labels."""
        rows = [
            expand(ids[mask], config, labels[mask])
            for ids, mask, labels in zip(
                self.inputs["input_ids"], self.inputs["attention_mask"], self.inputs["labels"], strict=True
            )
        ]
        longest = max(len(ids) for ids, _ in rows)
        return {
            "input_ids": torch.stack([right(ids, longest, 0) for ids, _ in rows]),
            "attention_mask": torch.stack([right(torch.ones_like(ids), longest, 0) for ids, _ in rows]),
            "labels": torch.stack([right(labels, longest, -100) for _, labels in rows]),
        }


def expand(ids, config, labels=None):
    """Write each image out as the model's placeholders, without a label."""
    labels = ids if labels is None else labels
    new_ids, new_labels = [], []
    for token, label in zip(ids.tolist(), labels.tolist(), strict=True):
        image = token == REFERENCE_IMAGE
        new_ids += [config.image_token_id] * config.tokens_per_image if image else [token]
        new_labels += [-100] * config.tokens_per_image if image else [label]
    return torch.tensor(new_ids), torch.tensor(new_labels)


def right(row, length, fill):
    """Pad on the right."""
    return torch.nn.functional.pad(row, (0, length - len(row)), value=fill)


def left(row, length, fill):
    """Pad on the left."""
    return torch.nn.functional.pad(row, (length - len(row), 0), value=fill)
