"""CCExpert: a SigLIP tower, the difference-aware integration module, and Qwen2.

Architecture: CCExpert (arXiv 2411.11360). SigLIP and Qwen2 are Transformers' own; only the module between them is ours.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812  # torch's own abbreviation
from transformers import GenerationMixin, PreTrainedModel, Qwen2Model

from geocc.errors import InputError
from geocc.model.configuration import CCExpertConfig
from geocc.model.difference import DifferenceModule
from geocc.model.heads import ChangeHead, Projector
from geocc.model.outputs import CCExpertImageFeatures, CCExpertModelOutput, CCExpertOutput
from geocc.model.packing import branch_mask, branch_positions, target_loss
from geocc.model.scout_branch import ScoutBranch, shrunk
from geocc.model.vision import FeatureTower

if TYPE_CHECKING:
    from transformers import Cache

    from geocc.model.scout_branch import ScoutTokens

__all__ = ["CCExpertForConditionalGeneration", "CCExpertModel", "CCExpertPreTrainedModel"]


class CCExpertPreTrainedModel(PreTrainedModel):
    """What all CCExpert models share. Fresh weights: linear and flags N(0, 0.02), biases 0, norms 1 and 0."""

    config_class = CCExpertConfig
    base_model_prefix = "model"
    input_modalities: Any = ("image", "text")
    supports_gradient_checkpointing = True
    _no_split_modules: set[str] | list[str] | None = [  # noqa: RUF012  # as the base class declares it
        "ChangeAwareLayer",
        "LevelFusion",
        "Qwen2DecoderLayer",
        "SiglipEncoderLayer",
        "SiglipVisionEmbeddings",
    ]
    _skip_keys_device_placement: set[str] | list[str] | None = ["past_key_values"]  # noqa: RUF012  # likewise
    _supports_flash_attn = True
    _supports_sdpa = True
    _supports_flex_attn = True
    _supports_attention_backend = True


class CCExpertModel(CCExpertPreTrainedModel):
    """CCExpert without its language modelling head."""

    def __init__(self, config: CCExpertConfig) -> None:
        super().__init__(config)
        self.vision_tower = FeatureTower(config.vision_config, levels=config.feature_levels)
        self.difference = DifferenceModule(config)
        self.projector = Projector(config)
        if config.change_head:
            self.change_head = ChangeHead(config.vision_config.hidden_size)
        if config.scout_config is not None:
            self.scout_branch = ScoutBranch(config)
        self.language_model = Qwen2Model(config.text_config)
        self.post_init()

    def get_image_features(self, pixel_values: Tensor) -> CCExpertImageFeatures:
        """Encode a batch of pairs.

        Args:
            pixel_values: `(B, T=2, C, H, W)`, normalised to [-1, 1], the earlier date first.

        Raises:
            InputError: If the shape is another.
        """
        if pixel_values.ndim != 5 or pixel_values.shape[1] != 2:
            raise InputError(
                f"pixel_values of shape {tuple(pixel_values.shape)} were given; a batch of pairs is (B, T=2, C, H, W)"
            )
        levels = self.encode_images(pixel_values.flatten(0, 1)).unflatten(1, (-1, 2))
        return self.compare_dates(levels, pixel_values=pixel_values)

    def encode_images(self, pixel_values: Tensor) -> Tensor:
        """Return the tower's feature levels `(L, R, N, D)` of single images `(R, C, H, W)` in [-1, 1], of either date.

        Raises:
            InputError: If the images are not of `config.input_size`.
        """
        side, given = self.config.vision_config.image_size, self.config.input_size
        if given > side:  # else it is for the tower to take or to refuse them
            if pixel_values.shape[-2:] != (given, given):
                raise InputError(
                    f"images of (H, W) = {tuple(pixel_values.shape[-2:])} were given to a model whose scout looks at "
                    f"{(given, given)}; let a CCExpertProcessor made by from_config resize them"
                )
            pixel_values = shrunk(pixel_values, side)
        levels: Tensor = self.vision_tower(pixel_values)
        return levels

    def compare_dates(self, levels: Tensor, *, pixel_values: Tensor | None = None) -> CCExpertImageFeatures:
        """Go on from images that `encode_images` has encoded, each perhaps for several pairs.

        Args:
            levels: `(L, B, T=2, N, D)` feature levels of pairs, the earlier date first.
            pixel_values: `(B, T=2, C, H, W)` what was encoded; needed where a scout looks at the pairs as well.

        Raises:
            InputError: A scout is to look at the pairs, and the pixels are not given.
        """
        a, b, change, gates = self.difference(levels)
        seen = self._scout(pixel_values)
        if seen is not None:
            a, b, change = a + seen.image_a, b + seen.image_b, change + seen.change
        pair, token = self.change_head(change) if self.config.change_head else (None, None)
        return CCExpertImageFeatures(
            image_features=self.projector(torch.stack([a, b], dim=1)),
            change_features=change,
            change_logits=pair if pair is None or seen is None else pair + seen.change_logits,
            change_token_logits=token,
            gates=gates,
        )

    def _scout(self, pixel_values: Tensor | None) -> ScoutTokens | None:
        if self.config.scout_config is None:
            return None
        if pixel_values is None:
            raise InputError(
                "compare_dates was given features alone, and this model's scout looks at pixels: give it pixel_values too"
            )
        tokens: ScoutTokens = self.scout_branch(pixel_values)
        return tokens

    def embed(self, input_ids: Tensor, *, image_features: Tensor | None = None) -> Tensor:
        """Look the tokens up and put the image features in the place of the placeholders.

        Args:
            input_ids: `(B, S)` token ids, in which `config.image_token_id` holds the place of one image token.
            image_features: `(B, T=2, N, D_text)` from `get_image_features`.

        Raises:
            InputError: If a row does not hold as many placeholders as its pair has features.
        """
        slots = input_ids == self.config.image_token_id
        # The placeholder may lie outside the table, so no row of it is ever looked up.
        embeds: Tensor = self.get_input_embeddings()(input_ids.masked_fill(slots, 0))
        if image_features is None:
            return embeds
        self._check_slots(slots, image_features)
        return embeds.masked_scatter(slots[..., None], image_features.to(embeds))

    def _check_slots(self, slots: Tensor, features: Tensor) -> None:
        wanted = features.shape[1] * features.shape[2]
        found = slots.sum(dim=1).tolist()
        if len(found) != len(features) or set(found) - {wanted}:
            raise InputError(
                f"the rows of input_ids hold {found} image placeholders (id {self.config.image_token_id}), but each of "
                f"the {len(features)} pairs has {wanted} features ({features.shape[2]} per date); let CCExpertProcessor "
                "make both"
            )

    def _refuse_slots(self, input_ids: Tensor) -> None:
        if bool((input_ids == self.config.image_token_id).any()):
            raise InputError(
                f"input_ids hold image placeholders (id {self.config.image_token_id}), but neither pixel_values nor "
                "image_features were given"
            )

    def forward(
        self,
        input_ids: Tensor | None = None,
        pixel_values: Tensor | None = None,
        *,
        attention_mask: Tensor | None = None,
        position_ids: Tensor | None = None,
        past_key_values: Cache | None = None,
        inputs_embeds: Tensor | None = None,
        image_features: Tensor | None = None,
        **kwargs: Any,
    ) -> CCExpertModelOutput:
        """Run the language model over text and images; the arguments are `CCExpertForConditionalGeneration.forward`'s."""
        if (input_ids is None) == (inputs_embeds is None):
            raise InputError("give either input_ids or inputs_embeds, and not both")
        if pixel_values is not None and image_features is not None:
            raise InputError("give either pixel_values or the image_features made from them, and not both")
        images = None if pixel_values is None else self.get_image_features(pixel_values)
        if images is not None:
            image_features = images.image_features
        if input_ids is not None:
            if image_features is None and not (past_key_values is not None and past_key_values.get_seq_length()):
                self._refuse_slots(input_ids)
            inputs_embeds = self.embed(input_ids, image_features=image_features)
        elif image_features is not None:
            raise InputError("inputs_embeds show no placeholders: make them with embed(input_ids, image_features=...)")
        kwargs.pop("return_dict", None)
        outputs = self.language_model(
            inputs_embeds=inputs_embeds,
            attention_mask=attention_mask,
            position_ids=position_ids,
            past_key_values=past_key_values,
            **kwargs,
        )
        return CCExpertModelOutput(
            last_hidden_state=outputs.last_hidden_state,
            past_key_values=outputs.past_key_values,
            hidden_states=outputs.hidden_states,
            attentions=outputs.attentions,
            images=images,
        )


class CCExpertForConditionalGeneration(CCExpertPreTrainedModel, GenerationMixin):
    """CCExpert: captions what changed between two images.

    `generate` works as everywhere in Transformers, for batches with left padding. Encode once and generate later with
    `features = model.get_image_features(pixel_values)` and `model.generate(..., image_features=features.image_features)`.
    """

    _tied_weights_keys: dict[str, str] = {  # noqa: RUF012  # as the base class declares it
        "lm_head.weight": "model.language_model.embed_tokens.weight"
    }

    def __init__(self, config: CCExpertConfig) -> None:
        super().__init__(config)
        self.model = CCExpertModel(config)
        text: Any = config.text_config
        self.lm_head = nn.Linear(text.hidden_size, text.vocab_size, bias=False)
        #: Heads that only training knows (`geocc.training.tutor`), called with the encoded pairs and their change maps.
        self.change_tutor: nn.Module | None = None
        self.post_init()

    def get_image_features(self, pixel_values: Tensor) -> CCExpertImageFeatures:
        """Encode pairs `(B, T=2, C, H, W)`; see `CCExpertModel.get_image_features`."""
        features: CCExpertImageFeatures = self.model.get_image_features(pixel_values)
        return features

    def forward(
        self,
        input_ids: Tensor | None = None,
        pixel_values: Tensor | None = None,
        *,
        attention_mask: Tensor | None = None,
        position_ids: Tensor | None = None,
        past_key_values: Cache | None = None,
        inputs_embeds: Tensor | None = None,
        labels: Tensor | None = None,
        change_labels: Tensor | None = None,
        change_maps: Tensor | None = None,
        image_features: Tensor | None = None,
        logits_to_keep: int | Tensor = 0,
        branches: Tensor | None = None,
        predictors: Tensor | None = None,
        targets_only: bool = False,
        **kwargs: Any,
    ) -> CCExpertOutput:
        """Score the next tokens, and the change if the model has a change head.

        Pairs with change labels or change maps and without text get no further than the change head and the heads of training.

        Args:
            input_ids: `(B, S)` token ids; each of the two image slots is `config.tokens_per_image` times
                `config.image_token_id`.
            pixel_values: `(B, T=2, C, H, W)` in [-1, 1], the earlier date first. Needed where `input_ids` hold slots.
            attention_mask: `(B, S)`, 1 for tokens and 0 for padding.
            position_ids: `(B, S)`; left out, they count from 0 over the padded row.
            past_key_values: The language model's cache.
            inputs_embeds: `(B, S, D_text)` in the place of `input_ids`.
            labels: `(B, S)` the token ids again, with -100 wherever no loss is taken.
            change_labels: `(B,)` 1 where the pair changed and 0 where it did not.
            change_maps: `(B, N, C)` what happened to every image token, for the heads of training.
            image_features: `(B, T=2, N, D_text)` from `get_image_features`, in the place of `pixel_values`.
            logits_to_keep: Number of last positions to score, or their indices; 0 means all.
            branches: `(B, S)` of rows that hold several answers to one question: 0 for the question, 1, 2, ... for
                each answer, -1 for padding. Every answer then sees the question and itself, in attention and in its
                positions, as if it stood in a row of its own. In the place of `attention_mask` and `position_ids`.
            predictors: `(B, T)` positions whose states predict `labels` `(B, 1 + T)` from the second on; left out,
                each position predicts the next. Implies `targets_only`.
            targets_only: With labels, score only positions that predict one: the same loss without the logits of all
                others. `logits` are then `(targets, V)`, row after row; with `predictors`, each position once.
            **kwargs: Passed on to the language model.

        Raises:
            InputError: If placeholders and features do not match, change labels come without a change head, or branches
                with a mask or positions of the caller's.
        """
        if branches is not None:
            if attention_mask is not None or position_ids is not None:
                raise InputError("branches make attention_mask and position_ids themselves: leave those out")
            text: Any = self.config.text_config
            attention_mask = branch_mask(branches, implementation=text._attn_implementation, dtype=self.dtype)  # noqa: SLF001  # it has no other name
            position_ids = branch_positions(branches)
        lessons = change_labels is not None or change_maps is not None
        if input_ids is None and inputs_embeds is None and pixel_values is not None and lessons:
            return self._score_images(pixel_values, change_labels=change_labels, change_maps=change_maps)
        outputs = self.model(
            input_ids=input_ids,
            pixel_values=pixel_values,
            attention_mask=attention_mask,
            position_ids=position_ids,
            past_key_values=past_key_values,
            inputs_embeds=inputs_embeds,
            image_features=image_features,
            **kwargs,
        )
        images = outputs.images or CCExpertImageFeatures()
        num_items = kwargs.get("num_items_in_batch")
        loss: Tensor | None = None
        if labels is not None and (targets_only or predictors is not None):
            loss, logits = target_loss(
                self.lm_head, outputs.last_hidden_state, labels, predictors=predictors, num_items=num_items
            )
        else:
            kept = slice(-logits_to_keep, None) if isinstance(logits_to_keep, int) else logits_to_keep
            logits = self.lm_head(outputs.last_hidden_state[:, kept])
            if labels is not None:
                loss = self.loss_function(
                    logits=logits, labels=labels, vocab_size=logits.shape[-1], num_items_in_batch=num_items
                )
        further = []
        if change_labels is not None:
            further.append(_change_loss(images.change_logits, change_labels, branches))
        if change_maps is not None and self.change_tutor is not None:
            further.append(self.change_tutor(images, change_maps))
        for part in further:
            if labels is not None and num_items is not None:
                # The trainer divides by the targets of all accumulated batches: this batch's share of them is its weight.
                part = part * (labels[:, 1:] != -100).sum() / num_items  # noqa: PLW2901  # weighed in its place
            loss = part if loss is None else loss + part
        return CCExpertOutput(
            loss=loss,
            logits=logits,
            past_key_values=outputs.past_key_values,
            hidden_states=outputs.hidden_states,
            attentions=outputs.attentions,
            change_logits=images.change_logits,
            change_token_logits=images.change_token_logits,
            gates=images.gates,
        )

    def _score_images(
        self, pixel_values: Tensor, *, change_labels: Tensor | None, change_maps: Tensor | None
    ) -> CCExpertOutput:
        images = self.model.get_image_features(pixel_values)
        losses = [] if change_labels is None else [_change_loss(images.change_logits, change_labels, None)]
        if change_maps is not None and self.change_tutor is not None:
            losses.append(self.change_tutor(images, change_maps))
        return CCExpertOutput(
            loss=torch.stack(losses).sum() if losses else None,
            change_logits=images.change_logits,
            change_token_logits=images.change_token_logits,
            gates=images.gates,
        )

    def prepare_inputs_for_generation(
        self,
        input_ids: Any,
        *args: Any,
        pixel_values: Tensor | None = None,
        image_features: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        is_first_iteration: bool | None = False,
        **kwargs: Any,
    ) -> dict[str, Any]:
        """Give the images to the first step only: from then on they live in the cache."""
        mixin: Any = super()
        inputs: dict[str, Any] = mixin.prepare_inputs_for_generation(
            input_ids, *args, inputs_embeds=inputs_embeds, is_first_iteration=is_first_iteration, **kwargs
        )
        if is_first_iteration or not kwargs.get("use_cache", True):
            inputs |= {"pixel_values": pixel_values, "image_features": image_features}
        return inputs


def _change_loss(logits: Tensor | None, labels: Tensor, branches: Tensor | None) -> Tensor:
    """Return the change head's loss; a pair with several answers counts once for each."""
    if logits is None:
        raise InputError(
            "change_labels need a model with a change head and pixel_values: CCExpertConfig(change_head=True)"
        )
    counts = None if branches is None else branches.amax(dim=1).float()
    weights = None if counts is None else counts / counts.mean()
    return F.binary_cross_entropy_with_logits(logits.float(), labels.float(), weight=weights)
