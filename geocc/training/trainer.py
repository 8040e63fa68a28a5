"""CCExpert's trainer: Transformers' own, with the parts' learning rates, an exact order, and checkpoints that are whole."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from transformers import Trainer, TrainerCallback, TrainerState
from transformers.trainer import TRAINER_STATE_NAME
from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR, rotate_checkpoints

from geocc.errors import TrainingError
from geocc.model.checkpoints.loading import quiet_bars
from geocc.training.arguments import training_arguments
from geocc.training.collator import RECORD_IDS, ImageCollator, PairCollator
from geocc.training.dataset import EpochSampler
from geocc.training.master_weights import MasterWeights
from geocc.training.muon import MuonAdamW
from geocc.training.optimizer import parameter_groups
from geocc.training.packing import PackedCollator
from geocc.training.parts import TUTOR_PREFIX
from geocc.training.provenance import Provenance
from geocc.training.tutor import load_tutor, save_tutor

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor, nn
    from torch.optim import Optimizer
    from torch.utils.data import Dataset

    from geocc.model import CCExpertProcessor
    from geocc.training.configuration import TrainingConfig
    from geocc.training.generation import CaptionEvaluation

__all__ = ["CCExpertTrainer"]

_COLLATORS: dict[str, Any] = {"packed": PackedCollator, "none": ImageCollator}
_PICKLED_ARGUMENTS = "training_args.bin"


class CCExpertTrainer(Trainer):
    """Trains a CCExpert model by a recipe.

    Args:
        model: The model, its frozen parameters marked so (`set_trainable`), or a PEFT model around it.
        config: The run.
        processor: The model's processor; saved with it.
        train_dataset: A `PairDataset`.
        evaluation: Lets the model caption and scores it; needed where `config.evaluation` is set.
        provenance: What each checkpoint shall say of itself.
        data_collator: Makes batches; a `PairCollator` or `PackedCollator` by the recipe when left out.
        callbacks: Further callbacks of Transformers.
    """

    def __init__(
        self,
        model: nn.Module,
        config: TrainingConfig,
        *,
        processor: CCExpertProcessor,
        train_dataset: Dataset[Any],
        evaluation: CaptionEvaluation | None = None,
        provenance: Provenance | None = None,
        data_collator: Callable[[Any], dict[str, Any]] | None = None,
        callbacks: list[TrainerCallback] | None = None,
    ) -> None:
        settings: Any = model.config
        self._config = config
        self._evaluation = evaluation
        self._provenance = provenance or _bare_provenance(config)
        self._sampler: EpochSampler | None = None
        self._seen: list[str] = []
        recipe = config.recipe
        super().__init__(
            model=model,
            # The change head scores each token as well, which no loss reads but that of the change masks.
            args=training_arguments(config, unused_parameters=settings.change_head and not recipe.change_map_weight),
            data_collator=data_collator
            or _COLLATORS.get(recipe.captions, PairCollator)(
                processor,
                padding_side=recipe.padding_side,
                max_length=recipe.max_length,
                change_labels=settings.change_head,
                map_grid=settings.grid_size if recipe.change_map_weight else None,
                map_classes=recipe.change_classes,
                **({} if recipe.packed else {"pad_to_multiple_of": recipe.pad_to_multiple_of}),
            ),
            train_dataset=train_dataset,
            eval_dataset=evaluation,
            processing_class=processor,
            callbacks=[_Bookkeeper(self), *(callbacks or [])],
        )
        if recipe.loss_average == "micro_batch":
            # Without the step's number of targets each micro batch is averaged by itself.
            self.model_accepts_loss_kwargs = False

    def create_optimizer(self, model: nn.Module | None = None) -> Optimizer:
        """Make the optimizer, with a group for each learning rate."""
        if self.optimizer is None:
            target: Any = self.model if model is None else model
            recipe = self._config.recipe
            groups = parameter_groups(target, recipe)
            self.optimizer = (
                MasterWeights(groups, self._make_optimizer) if recipe.bf16_weights else self._make_optimizer(groups)
            )
        made: Optimizer = self.optimizer
        return made

    def _make_optimizer(self, groups: list[dict[str, Any]]) -> Optimizer:
        target: Any = self.model
        kind, settings = self.get_optimizer_cls_and_kwargs(self.args, target)
        if self._config.recipe.optimizer == "muon":
            return MuonAdamW(groups, betas=settings["betas"], eps=settings["eps"])
        made: Optimizer = kind(
            [{k: v for k, v in group.items() if k not in {"names", "muon"}} for group in groups], **settings
        )
        return made

    def take_up_the_end(self, point: Path) -> bool:
        """Load a run that was stopped after its last step, and before its result was written.

        Transformers would take a step too many.

        Args:
            point: The run's last checkpoint.

        Returns:
            False where there are steps left to take; nothing was loaded then.
        """
        state = TrainerState.load_from_json(str(point / TRAINER_STATE_NAME))
        if state.global_step < state.max_steps:
            return False
        self.state = state
        self._load_from_checkpoint(str(state.best_model_checkpoint or point))
        return True

    def training_step(
        self, model: nn.Module, inputs: dict[str, Any], num_items_in_batch: Tensor | int | None = None
    ) -> Tensor:
        """Run one micro batch forward and backward.

        Raises:
            TrainingError: Its loss is not finite; the text names its records. No weight has changed by it.
        """
        records: list[str] = inputs.pop(RECORD_IDS, [])
        self._seen += records
        loss: Tensor = super().training_step(model, inputs, num_items_in_batch)
        if not torch.isfinite(loss):
            raise self._broken(f"the loss is {loss.item()}", records)
        return loss

    def compute_loss(self, model: nn.Module, inputs: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        """Compute the loss; only positions that predict a target are scored, which changes nothing but the memory."""
        return super().compute_loss(model, {"targets_only": True} | inputs, *args, **kwargs)

    def evaluate(
        self,
        eval_dataset: Any = None,
        ignore_keys: list[str] | None = None,  # noqa: ARG002  # Transformers'
        metric_key_prefix: str = "eval",
    ) -> dict[str, float]:
        """Let the model caption the evaluation records, and score it.

        Args:
            eval_dataset: Another `CaptionEvaluation` than the run's.
            ignore_keys: Of no use here.
            metric_key_prefix: Put before the names of the figures.
        """
        evaluation: Any = eval_dataset or self.eval_dataset
        # A sharded model cannot be taken out of its wrapper.
        model = self.model if self.is_fsdp_enabled else self.accelerator.unwrap_model(self.model)
        figures = {f"{metric_key_prefix}_{k}": v for k, v in evaluation(model, self.accelerator).items()}
        self.log(dict(figures))
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, figures)
        return figures

    def _get_train_sampler(self, train_dataset: Dataset[Any] | None = None) -> EpochSampler:
        data: Any = self.train_dataset if train_dataset is None else train_dataset
        self._sampler = EpochSampler(len(data))
        return self._sampler

    def _clip_grad_norm(self, model: nn.Module) -> Any:
        norm = super()._clip_grad_norm(model)
        if isinstance(norm, torch.Tensor) and not torch.isfinite(norm):
            raise self._broken(f"the gradient's norm is {norm.item()}", self._seen)
        return norm

    def _save_checkpoint(self, model: nn.Module, trial: Any) -> None:
        super()._save_checkpoint(model, trial)
        self.accelerator.wait_for_everyone()
        if not self.args.should_save:
            return
        output = self._config.output
        folder = output / f"{PREFIX_CHECKPOINT_DIR}-{self.state.global_step}"
        self._provenance.write(folder, self._config, step=self.state.global_step, epoch=self.state.epoch)
        # Only now is the new one whole, and an old one may go.
        rotate_checkpoints(
            output_dir=str(output),
            save_total_limit=self._config.keep,
            best_model_checkpoint=self.state.best_model_checkpoint,
            use_mtime=False,
        )

    def _save(self, output_dir: str | None = None, state_dict: dict[str, Any] | None = None) -> None:
        folder = output_dir or str(self._config.output)
        own: Any = self.accelerator.unwrap_model(self.model)
        tutored = getattr(own, "change_tutor", None) is not None
        if tutored:
            # The heads of training are no part of the model: whoever loads it must not meet them.
            state_dict = state_dict or own.state_dict()
            state_dict = {name: value for name, value in state_dict.items() if not name.startswith(TUTOR_PREFIX)}
        with quiet_bars():
            super()._save(output_dir, state_dict)
        if not self.args.should_save:
            return  # Transformers asks every process, and the first one writes
        if tutored:
            save_tutor(own, folder)
        # A pickle is nothing to hand on, and geocc_training.yaml says the same.
        (Path(folder) / _PICKLED_ARGUMENTS).unlink(missing_ok=True)

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: nn.Module | None = None) -> None:
        super()._load_from_checkpoint(resume_from_checkpoint, model)
        own: Any = self.accelerator.unwrap_model(model or self.model)
        if getattr(own, "change_tutor", None) is not None:
            load_tutor(own, resume_from_checkpoint)

    def _broken(self, fault: str, records: list[str]) -> TrainingError:
        return TrainingError(
            f"{fault} at step {self.state.global_step + 1}, in the batch of records {', '.join(map(repr, records))}; "
            "look at these records, lower recipe.learning_rate, or set recipe.compile=false or recipe.bf16=false, and go on from the last "
            "checkpoint with --resume."
        )


class _Bookkeeper(TrainerCallback):
    """Tells the sampler which epoch comes, and forgets the records of the step before.

    Accelerate tells the sampler too, but its way there is lost where a run is resumed on many devices.
    """

    def __init__(self, trainer: CCExpertTrainer) -> None:
        self._trainer = trainer

    def on_epoch_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002  # Transformers'
        if self._trainer._sampler is not None:  # noqa: SLF001  # of the same module
            self._trainer._sampler.set_epoch(int(state.epoch or 0))  # noqa: SLF001  # likewise

    def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002  # Transformers'
        self._trainer._seen.clear()  # noqa: SLF001  # likewise


def _bare_provenance(config: TrainingConfig) -> Provenance:
    recipe = config.recipe
    return Provenance(recipe.stage, list(recipe.train), config.model, {}, config.model_dump(mode="json"))
