"""Matches the tensors of a checkpoint to those of the model."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from geocc.errors import CheckpointError
from geocc.model.checkpoints.layouts import OWN, is_base
from geocc.model.checkpoints.meta import NoMetaArithmetic
from geocc.model.checkpoints.names import dead_reason, own_name
from geocc.model.checkpoints.report import ConversionReport, Mismatch
from geocc.model.modeling import CCExpertForConditionalGeneration

if TYPE_CHECKING:
    from torch import Tensor

    from geocc.model.checkpoints.files import WeightFiles
    from geocc.model.configuration import CCExpertConfig

__all__ = ["match", "read_state"]

_HEAD = "lm_head.weight"
_EMBEDDING = "model.language_model.embed_tokens.weight"
_DIFFERENCE = "model.difference."
_TIED = "tied: the head is the embedding, and this is a copy of it"


def match(files: WeightFiles, *, config: CCExpertConfig, layout: str) -> ConversionReport:
    """Find a place in the model for every tensor of the checkpoint, and a tensor for every place.

    Raises:
        CheckpointError: If something needed is missing or of the wrong shape, or something is unknown.
    """
    expected = _expected_shapes(config)
    report = ConversionReport(layout=layout, source=str(files.folder))
    for source, shape in files.shapes.items():
        name = source if layout == OWN else own_name(source)
        if reason := _dead(source, name=name, layout=layout, config=config):
            report.dropped[source] = reason
        elif name not in expected or name in report.used:
            report.unknown.append(source)
        elif shape != expected[name]:
            report.mismatched.append(Mismatch(name, source, expected[name], shape))
        else:
            report.used[name] = source
    absent = sorted(expected.keys() - report.used.keys() - {misfit.name for misfit in report.mismatched})
    has_difference = any(name.startswith(_DIFFERENCE) for name in report.used)
    for name in absent:
        fresh = is_base(layout) and name.startswith(_DIFFERENCE) and not has_difference
        (report.fresh if fresh else report.missing).append(name)
    report.refuse_misfits()
    return report


def read_state(files: WeightFiles, *, report: ConversionReport) -> dict[str, Tensor]:
    """Read the tensors that the report says are used, under geocc's names.

    Raises:
        CheckpointError: If the head should be the embedding but differs from it.
    """
    heads = [source for source, reason in report.dropped.items() if reason == _TIED]
    names = {source: name for name, source in report.used.items()} | dict.fromkeys(heads, _HEAD)
    state = {names[source]: tensor for source, tensor in files.read(names.keys())}
    if heads and not torch.equal(state.pop(_HEAD), state[_EMBEDDING]):
        raise CheckpointError(
            f"{files.folder}: config.json says tie_word_embeddings, but lm_head.weight differs from the embedding; "
            "set tie_word_embeddings to false there if the head was trained apart"
        )
    return state


def _expected_shapes(config: CCExpertConfig) -> dict[str, tuple[int, ...]]:
    with NoMetaArithmetic(), torch.device("meta"):
        model = CCExpertForConditionalGeneration(config)
    shapes = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    if config.tie_word_embeddings:
        del shapes[_HEAD]
    return shapes


def _dead(source: str, *, name: str | None, layout: str, config: CCExpertConfig) -> str | None:
    if name == _HEAD and config.tie_word_embeddings:
        return _TIED
    return None if layout == OWN else dead_reason(source, vision_layers=max(config.feature_levels))
