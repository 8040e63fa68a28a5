"""The three stages of CCExpert's training, as published.

Sources: [paper] CCExpert (arXiv 2411.11360). [script] the reference's
`scripts/CCExpert_train_scripts/CCExpert_0.5b_3stage_cpt_sft.sh`, from which the 7B script differs in names only.
[default] Transformers' default, which the script leaves as it is.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from geocc.errors import InputError
from geocc.training.parts import Part  # noqa: TC001  # pydantic reads the annotations
from geocc.training.strict import Settings

__all__ = ["Stage", "Stage1", "Stage2", "Stage3"]

Positive = Annotated[int, Field(ge=1)]
Rate = Annotated[float, Field(ge=0)]
Captions = Literal["flatten_list", "random_choice", "packed", "none"]
Fraction = Annotated[float, Field(ge=0, lt=1)]

_STEM: tuple[Part, ...] = ("difference_module", "projector")
_WHOLE: tuple[Part, ...] = ("difference_module", "projector", "language_model", "vision_tower")
_TOWER_RATE: dict[Part, float] = {"vision_tower": 2e-6}


class Stage(Settings):
    """What all stages share, and what each of them must say. Use `Stage1`, `Stage2` or `Stage3`.

    Attributes:
        stage: Number of the stage.
        train: The parts that train; the others keep their weights. [script: --mm_tunable_parts]
        captions: `flatten_list` makes one sample of every caption, `random_choice` takes one caption of every pair,
            drawn anew each epoch. [script] `packed` makes one sample of every pair with all of its captions behind one
            run of images and question: the gradients of `flatten_list`, at the price of little more than one caption.
            Ours. `batch_size` and `micro_batch_size` count such pairs. `none` teaches no word: change head and change
            maps alone train the eye, and the language model is not run. Ours.
        epochs: Passes over the data. [script]
        max_steps: Optimizer steps after which to stop, whatever `epochs` says; None for no limit. Ours, for trials.
        batch_size: Pairs per optimizer step, over all devices and accumulated batches together. [script]
        micro_batch_size: Pairs that one device holds at once. [script: --per_device_train_batch_size]
        optimizer: `adamw` [script], or `muon`: Muon for the matrices inside the model, AdamW for all else
            (`geocc.training.muon`). Ours, for models that start from nothing.
        learning_rate: Highest learning rate. [script]
        part_learning_rates: Highest learning rates of single parts, where they are others. The vision tower's 2e-6 is
            what the paper and the script state.
        learning_rate_rule: `paper` follows `part_learning_rates`. `reference_flat_lr` does what the published run most
            likely did: its `scripts/zero2.json` brings an optimizer of its own, so that DeepSpeed never hears of the
            tower's rate and every part trains at `learning_rate` (parity NOTES.md 25).
        schedule: How the rates fall after the warm-up, by Transformers' name. [script: cosine]
        warmup_fraction: Share of all steps in which the rates rise from zero, rounded up. [script: 0.03]
        weight_decay: AdamW's weight decay; never applied to biases and norms. [script: 0]
        adam_beta1: AdamW's first beta. [default]
        adam_beta2: AdamW's second beta. [default]
        adam_epsilon: AdamW's epsilon. [default]
        max_grad_norm: Norm to which gradients are clipped; 0 for never. [default: 1]
        loss_average: `tokens` is the mean over all targets of the optimizer step, however it is cut into micro batches
            and devices. `micro_batch` is the mean of the micro batches' means, as the reference computes it
            (Transformers 4.40); for a step of one micro batch on one device they are the same.
        bf16: Whether products are computed in bfloat16; weights and AdamW's moments stay float32. [script]
        bf16_weights: Whether the weights are bfloat16 too, stepped through float32 copies that the optimizer keeps
            (`geocc.training.master_weights`), so that no product begins with a conversion: geocc-mini took 2.19 s instead of 2.56 for 64 pairs on one core.
            Ours.
        gradient_checkpointing: Whether activations are computed again in the backward pass to save memory. [script]
        compile: Whether the model goes through `torch.compile`. [script]
        change_map_weight: Weight of lessons from the records' change masks (`geocc.training.tutor`); 0 for none. Ours:
            a small model that starts from little learns from captions alone where to look late or never.
        change_classes: Highest number of a class in the records' label images, which `change_map_weight` then teaches as
            well: what came and what went, token by token. 0 for no labels. Ours.
        max_length: Longest sample in tokens, image slots included; a longer one is an error, never cut. [script: 32768]
        padding_side: Side on which short samples are filled. [script: right; it matters for the loss, NOTES.md 19]
        pad_to_multiple_of: Batches are filled up to a multiple of so many tokens. Ours: with `compile`, few lengths are few
            compilations.
        checkpoint_every: Optimizer steps between two checkpoints, each with an evaluation if one is asked for; or
            `epoch`. [script]
        seed: Seed of fresh weights, of the order of samples and of augmentation. [script: 42]
    """

    stage: Literal[1, 2, 3]
    train: tuple[Part, ...]
    captions: Captions
    epochs: Annotated[float, Field(gt=0)]
    max_steps: Positive | None = None
    batch_size: Positive
    micro_batch_size: Positive
    optimizer: Literal["adamw", "muon"] = "adamw"
    learning_rate: Rate = 1e-5
    part_learning_rates: dict[Part, Rate] = Field(default_factory=dict)
    learning_rate_rule: Literal["paper", "reference_flat_lr"] = "paper"
    schedule: Literal["cosine", "linear", "constant_with_warmup"] = "cosine"
    warmup_fraction: Fraction = 0.03
    weight_decay: Rate = 0.0
    adam_beta1: Fraction = 0.9
    adam_beta2: Fraction = 0.999
    adam_epsilon: Annotated[float, Field(gt=0)] = 1e-8
    max_grad_norm: Rate = 1.0
    loss_average: Literal["tokens", "micro_batch"] = "tokens"
    bf16: bool = True
    bf16_weights: bool = False
    gradient_checkpointing: bool = True
    compile: bool = True
    change_map_weight: Rate = 0.0
    change_classes: Annotated[int, Field(ge=0, le=255)] = 0
    max_length: Positive = 32768
    padding_side: Literal["left", "right"] = "right"
    pad_to_multiple_of: Positive = 1
    checkpoint_every: Positive | Literal["epoch"]
    seed: Annotated[int, Field(ge=0)] = 42

    @model_validator(mode="after")
    def _check(self) -> Stage:
        if not self.train or len(set(self.train)) != len(self.train):
            raise InputError(f"train is {list(self.train)}; expected one or more parts, each once")
        if still := [part for part in self.train if self.rate_of(part) == 0]:
            raise InputError(
                f"the learning rate of {', '.join(still)} is 0, though train lists it; "
                "give it a rate (learning_rate, part_learning_rates), or take it out of train"
            )
        if self.captions == "none" and (not self.change_map_weight or "language_model" in self.train):
            raise InputError(
                "captions is 'none', so that change maps are all there is to learn, and the language model learns nothing: "
                "set change_map_weight, and take language_model out of train"
            )
        if self.bf16_weights and not self.bf16:
            raise InputError("bf16_weights asks for what bf16=false refuses: set both, or neither")
        if self.packed and self.pad_to_multiple_of != 1:
            raise InputError(
                "pad_to_multiple_of does not go with captions='packed', whose rows are as long as they are: set one"
            )
        if self.change_classes and not self.change_map_weight:
            raise InputError("change_classes is of no use without change_map_weight: set both, or neither")
        return self

    @property
    def packed(self) -> bool:
        """Whether a sample holds all captions of its pair."""
        return self.captions == "packed"

    @property
    def caption_mode(self) -> Literal["flatten_list", "random_choice"]:
        """How `Mixture.samples` counts the samples: packed, one for each pair."""
        return "flatten_list" if self.captions == "flatten_list" else "random_choice"

    def rate_of(self, part: Part) -> float:
        """Return the highest learning rate of a part, by the rule in force."""
        if self.learning_rate_rule == "reference_flat_lr":
            return self.learning_rate
        return self.part_learning_rates.get(part, self.learning_rate)


class Stage1(Stage):
    """Difference module and projector on the foundation mixture; the rest is frozen, the embeddings included."""

    stage: Literal[1] = 1
    train: tuple[Part, ...] = _STEM
    captions: Captions = "flatten_list"
    epochs: Annotated[float, Field(gt=0)] = 1
    batch_size: Positive = 64  # 4 x 2 accumulated x 8 GPUs
    micro_batch_size: Positive = 4
    checkpoint_every: Positive | Literal["epoch"] = 1000


class Stage2(Stage):
    """Every part on the foundation mixture, the vision tower more slowly."""

    stage: Literal[2] = 2
    train: tuple[Part, ...] = _WHOLE
    captions: Captions = "flatten_list"
    epochs: Annotated[float, Field(gt=0)] = 1
    batch_size: Positive = 256  # 2 x 16 accumulated x 8 GPUs
    micro_batch_size: Positive = 2
    part_learning_rates: dict[Part, Rate] = Field(default_factory=lambda: dict(_TOWER_RATE))
    checkpoint_every: Positive | Literal["epoch"] = 250


class Stage3(Stage):
    """Every part on the benchmark's training split (published: LEVIR-CC), one caption per pair and epoch."""

    stage: Literal[3] = 3
    train: tuple[Part, ...] = _WHOLE
    captions: Captions = "random_choice"
    epochs: Annotated[float, Field(gt=0)] = 50
    batch_size: Positive = 256
    micro_batch_size: Positive = 2
    part_learning_rates: dict[Part, Rate] = Field(default_factory=lambda: dict(_TOWER_RATE))
    checkpoint_every: Positive | Literal["epoch"] = "epoch"
