"""Tiny random checkpoints in the layouts of others; their names are written out here, apart from geocc's own tables."""

from __future__ import annotations

import json

import torch
from safetensors.torch import save_file

from geocc.model import CCExpertConfig, CCExpertForConditionalGeneration

WIDTH, LAYERS = 128, 5  # the reference's tower has one block more than it reads
TOWER = {
    "hidden_size": WIDTH,
    "intermediate_size": 32,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": 2,
    "image_size": 28,
    "patch_size": 14,
}
TEXT = {
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "vocab_size": 300,
    "rms_norm_eps": 1e-6,
    "eos_token_id": 299,
}

RESAMPLER = "model.vision_resampler."
REFERENCE_NAMES = [
    ("model.vision_tower.embeddings.", "model.vision_tower.vision_tower.vision_model.embeddings."),
    ("model.vision_tower.layers.", "model.vision_tower.vision_tower.vision_model.encoder.layers."),
    ("model.difference.extractor.gate.", RESAMPLER + "expert_change_feature_extractor_model.linear_mapping."),
    ("model.difference.extractor.proj.", RESAMPLER + "expert_change_feature_extractor_model.proj."),
    ("model.difference.fusion.lin1.", RESAMPLER + "ChangeAwareTokenReduce.feature_map_level_gate.0."),
    ("model.difference.fusion.lin2.", RESAMPLER + "ChangeAwareTokenReduce.feature_map_level_gate.2."),
    ("model.difference.layers.", RESAMPLER + "layers."),
    (".self_attention.", ".change_self_attn."),
    (".change_to_images.", ".cross_attn_change_to_imageABC."),
    (".image_to_change.", ".cross_attn_imageAB_to_change."),
    (".flag_a.", ".image_a_flag_embed."),
    (".flag_b.", ".image_b_flag_embed."),
    (".flag_change.", ".change_flag_embed."),
    ("model.projector.linear_1.", "model.mm_projector.0."),
    ("model.projector.linear_2.", "model.mm_projector.2."),
    ("model.language_model.", "model."),
]
OLD_TRANSFORMERS_NAMES = [
    ("model.vision_tower.embeddings.", "vision_tower.vision_model.embeddings."),
    ("model.vision_tower.layers.", "vision_tower.vision_model.encoder.layers."),
    ("model.projector.", "multi_modal_projector."),
    ("model.language_model.", "language_model.model."),
    ("lm_head.", "language_model.lm_head."),
]
NEW_TRANSFORMERS_NAMES = [
    ("model.vision_tower.layers.", "model.vision_tower.encoder.layers."),
    ("model.projector.", "model.multi_modal_projector."),
]


def config(*, tie, levels=(1, 2, 3, 4), mlp=48):
    """The configuration that the foreign checkpoints should be translated to."""
    return CCExpertConfig(
        vision_config=TOWER | {"num_hidden_layers": LAYERS - 1},
        text_config=TEXT,
        feature_levels=list(levels),
        difference_mlp_dim=mlp,
        tie_word_embeddings=tie,
    )


def model(*, tie=True, seed=0, **sizes):
    """A random model of that configuration."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return CCExpertForConditionalGeneration(config(tie=tie, **sizes)).eval()


def state_of(model):
    """Its weights, without the copy that a tied head is."""
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    if model.config.tie_word_embeddings:
        del state["lm_head.weight"]
    return state


def renamed(state, names):
    """The weights under another layout's names."""
    out = {}
    for name, tensor in state.items():
        theirs = name
        for ours, other in names:
            theirs = theirs.replace(ours, other)
        out[theirs] = tensor
    return out


def reference_config(*, tie):
    """config.json as the reference writes it: flat, with the tower's name and none of its sizes."""
    return TEXT | {
        "model_type": "llava_qwen_cc",
        "architectures": ["LlavaQwenCCForCausalLM"],
        "cc_expert_args": {"downsample_ratio": 1, "per_expert_depth": 2, "mlp_dim": 48},
        "mm_vision_tower": "google/siglip-tiny",
        "mm_vision_select_layer": "[-5,-4,-3,-2]",
        "mm_projector_type": "mlp2x_gelu",
        "mm_resampler_type": "cc_expert",
        "rope_theta": 1000000.0,
        "tie_word_embeddings": tie,
    }


def reference_state(model):
    """The weights as the reference saves them, with all that it never uses."""
    state = renamed(state_of(model), REFERENCE_NAMES)
    tower = "model.vision_tower.vision_tower.vision_model."
    last = f"{tower}encoder.layers.{LAYERS - 1}."
    state |= {
        name.replace(f"{tower}encoder.layers.0.", last): tensor.clone()
        for name, tensor in state.items()
        if name.startswith(f"{tower}encoder.layers.0.")
    }
    dead = {
        f"{tower}post_layernorm.weight": (WIDTH,),
        f"{RESAMPLER}layers.0.norm4.weight": (WIDTH,),
        f"{RESAMPLER}layers.1.norm4.bias": (WIDTH,),
        f"{RESAMPLER}ChangeAwareTokenReduce.change_for_key_proj.weight": (WIDTH, WIDTH),
        f"{RESAMPLER}ChangeAwareTokenReduce.cross_attn.in_proj_weight": (3 * WIDTH, WIDTH),
        "model.mm_cc_projector.0.weight": (16, WIDTH),
        "model.image_newline": (16,),
    }
    return state | {name: torch.zeros(shape) for name, shape in dead.items()}


def base_state(model):
    """The weights of LLaVA-OneVision's original layout: no difference module."""
    return {
        name: tensor
        for name, tensor in reference_state(model).items()
        if "resampler" not in name and "_cc_" not in name
    }


def transformers_state(model, names):
    """The weights of LLaVA-OneVision in Transformers' layout."""
    state = {name: tensor for name, tensor in state_of(model).items() if ".difference." not in name}
    out = renamed(state, names) | {"image_newline": torch.zeros(16)}
    tower = next(name.split("embeddings.")[0] for name in out if "position_embedding" in name)
    return out | {f"{tower}post_layernorm.weight": torch.ones(WIDTH)}


def transformers_config(*, tie):
    """config.json as Transformers writes it."""
    return {
        "model_type": "llava_onevision",
        "vision_config": TOWER
        | {"model_type": "siglip_vision_model", "num_hidden_layers": LAYERS - 1, "vision_use_head": False},
        "text_config": TEXT | {"model_type": "qwen2", "tie_word_embeddings": tie},
        "image_token_index": 298,
        "vision_feature_layer": -1,
        "tie_word_embeddings": False,
    }


def write(folder, *, config, state):
    """Write a checkpoint of one safetensors file."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config))
    save_file(state, folder / "model.safetensors")
    return folder


def write_shards(folder, *, config, state, pickled=False, shards=3):
    """Write a checkpoint of several files and their index."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config))
    names = sorted(state)
    stem, suffix = ("pytorch_model", "bin") if pickled else ("model", "safetensors")
    weight_map = {}
    for i in range(shards):
        file = f"{stem}-{i + 1:05d}-of-{shards:05d}.{suffix}"
        part = {name: state[name] for name in names[i::shards]}
        if pickled:
            torch.save(part, folder / file)
        else:
            save_file(part, folder / file)
        weight_map |= dict.fromkeys(part, file)
    (folder / f"{stem}.{suffix}.index.json").write_text(json.dumps({"weight_map": weight_map}))
    return folder
