"""What torch's compiler does for captioning: the parts that see every tile at one fixed size."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from geocc.model import CCExpertForConditionalGeneration

__all__ = ["compile_encoder"]


def compile_encoder(model: CCExpertForConditionalGeneration) -> None:
    """Have torch compile the vision tower, the difference module and a scout beside them, in place, when they first see a batch.

    On a CPU the weights are frozen into the code: laid out once as the matrix kernels read them, with biases, GELU and
    residuals computed inside the products (tower and module of 0.5B in bfloat16 are then 1.1 to 1.2 times as fast; without
    freezing no faster than before). The compiled parts keep the weights of their first batch and hold a second copy of them, so train or load
    before this, not after. The language model gains nothing from it and is left alone.

    Args:
        model: The model, on its device and in its dtype, for inference only.
    """
    on_cpu = model.device.type == "cpu"
    inner = model.model
    scout = [] if model.config.scout_config is None else [inner.scout_branch]
    for part in (inner.vision_tower, inner.difference, *scout):
        # One code for all sizes of batch is as fast there as one for each, and the last batch of a scene is smaller.
        part.compile(options={"freezing": True} if on_cpu else None, dynamic=True if on_cpu else None)
