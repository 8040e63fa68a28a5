"""What a user of Transformers would run in CCExpert's place: plain LLaVA-OneVision, two images in one prompt, `generate`.

Of the same sizes and on the same weights, but for what CCExpert adds: there is no difference module, and each image ends with
LLaVA's row separator, so that the prompt is two tokens longer. Its answers mean nothing; its seconds do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from transformers import LlavaOnevisionConfig, LlavaOnevisionForConditionalGeneration

from geocc.model.checkpoints.meta import NoMetaArithmetic

if TYPE_CHECKING:
    from torch import Tensor

    from geocc.model import CCExpertForConditionalGeneration


class PlainLlava:
    """Answers as Transformers' LLaVA-OneVision does, one pair at a time.

    Args:
        model: A model of ours; its tower, language model and head are shared.
    """

    def __init__(self, model: CCExpertForConditionalGeneration) -> None:
        config = model.config
        self._image = config.image_token_id
        settings = LlavaOnevisionConfig(
            vision_config=config.vision_config.to_dict() | {"num_hidden_layers": max(config.feature_levels)},
            text_config=config.text_config.to_dict(),
            image_token_index=self._image,
            video_token_index=self._image - 1,
            tie_word_embeddings=config.tie_word_embeddings,
            image_grid_pinpoints=[[config.vision_config.image_size] * 2],
        )
        with NoMetaArithmetic(), torch.device("meta"):
            plain: Any = LlavaOnevisionForConditionalGeneration(settings)
        tower = plain.model.vision_tower
        tower = getattr(tower, "vision_model", tower)
        # The numbers are shared and not the modules, on which Transformers hangs hooks.
        for theirs, ours in (
            (tower.embeddings, model.model.vision_tower.embeddings),
            (tower.encoder.layers, model.model.vision_tower.layers),
            (plain.model.language_model, model.model.language_model),
            (plain.lm_head, model.lm_head),
        ):
            theirs.load_state_dict(ours.state_dict(), assign=True)
        self._model = _filled(plain, device=model.device, dtype=model.dtype).eval()
        self._model.generation_config.eos_token_id = None  # every answer is as long as the next

    @torch.inference_mode()
    def answer(self, pixels: Tensor, prompt: Tensor, *, tokens: int) -> list[int]:
        """Return the tokens of the answer to one pair `(1, T=2, C, H, W)`; the prompt is the one that ours gets."""
        ids = _with_separators(prompt[0], image=self._image)
        said = self._model.generate(
            input_ids=ids[None],
            attention_mask=torch.ones_like(ids)[None],
            pixel_values=pixels[0][:, None],  # (images, crops=1, C, H, W): no crops where there are several images
            image_sizes=torch.tensor([pixels.shape[-2:]] * 2, device=pixels.device),
            batch_num_images=torch.tensor([2], device=pixels.device),
            do_sample=False,
            max_new_tokens=tokens,
            pad_token_id=0,
        )
        answer: list[int] = said[0, len(ids) :].tolist()
        return answer


def _with_separators(prompt: Tensor, *, image: int) -> Tensor:
    """Lengthen both image slots by one."""
    ids = prompt.tolist()
    ends = [at for at in range(len(ids) - 1) if ids[at] == image != ids[at + 1]]
    for at in reversed(ends):
        ids.insert(at, image)
    return torch.tensor(ids, device=prompt.device)


def _filled(plain: Any, *, device: torch.device, dtype: torch.dtype) -> Any:
    """Give weights to what is not shared: the projector, a norm, the separator."""
    for module in plain.modules():
        for name, parameter in list(module.named_parameters(recurse=False)):
            if parameter.is_meta:
                values = torch.randn(parameter.shape, device=device).mul(0.02).to(dtype)
                setattr(module, name, torch.nn.Parameter(values, requires_grad=False))
        for name, buffer in list(module.named_buffers(recurse=False)):
            setattr(module, name, buffer.to(device))
    return plain
