"""Gemma's generations."""

from make import SIZES, Case, version4
from transformers import Gemma2Config, Gemma3TextConfig, GemmaConfig

PLAIN = dict(rope_type="default", rope_theta=10000.0)
MIXED = ["sliding_attention", "full_attention", "sliding_attention"]


def first_release(config):
    """Its word for the approximated GELU."""
    return version4({**config, "hidden_act": "gelu", "hidden_activation": None})


def gemma3_version4(config):
    """Gemma 3 in transformers 4: a base for each kind of layer, and every how many layers one sees all."""
    local = config.pop("rope_parameters")
    full, sliding = local["full_attention"], local["sliding_attention"]
    for key in ("layer_types", "_sliding_window_pattern"):
        config.pop(key, None)
    scaling = {key: value for key, value in full.items() if key != "rope_theta"}
    return version4({
        **config, "rope_theta": full["rope_theta"], "rope_local_base_freq": sliding["rope_theta"], "sliding_window_pattern": 2,
        "rope_scaling": None if scaling["rope_type"] == "default" else scaling,
    })


CASES = [
    Case(
        "gemma", "scaled embeddings, norms of 1 + weight, biases, untied head",
        GemmaConfig(**SIZES, head_dim=6, attention_bias=True, rope_parameters=PLAIN, tie_word_embeddings=False),
    ),
    Case("gemma-tied", "tied head, a GELU of the first release's name, config of transformers 4", GemmaConfig(**SIZES, head_dim=4, rope_parameters=PLAIN), first_release),
    Case(
        "gemma2", "windows by layer types, soft caps that bite, a score scale of its own, untied head",
        Gemma2Config(
            **SIZES, head_dim=6, attention_bias=True, sliding_window=6, query_pre_attn_scalar=3, attn_logit_softcapping=1.5, final_logit_softcapping=2.0,
            layer_types=["full_attention", "sliding_attention", "full_attention"], hidden_activation="gelu", rope_parameters=PLAIN, tie_word_embeddings=False,
        ),
    ),
    Case(
        "gemma2-tied", "windows on every other layer, tied head, scores without a cap, config of transformers 4",
        Gemma2Config(**SIZES, head_dim=4, sliding_window=6, query_pre_attn_scalar=16, attn_logit_softcapping=None, final_logit_softcapping=3.0, rope_parameters=PLAIN),
        lambda config: version4({key: value for key, value in config.items() if key != "layer_types"}),
    ),
    Case(
        "gemma3", "a rotary embedding by layer type, one of them scaled, head norms, biases, a soft cap, untied head",
        Gemma3TextConfig(
            **SIZES, head_dim=6, attention_bias=True, sliding_window=6, query_pre_attn_scalar=3, final_logit_softcapping=2.0, layer_types=MIXED, tie_word_embeddings=False,
            rope_parameters=dict(
                full_attention=dict(rope_type="yarn", factor=4.0, original_max_position_embeddings=16, rope_theta=5000.0),
                sliding_attention=dict(rope_type="default", rope_theta=100.0),
            ),
        ),
    ),
    Case(
        "gemma3-tied", "a linear scaling of global layers, a window pattern, tied head, config of transformers 4",
        Gemma3TextConfig(
            **SIZES, head_dim=4, sliding_window=6, query_pre_attn_scalar=8, layer_types=MIXED,
            rope_parameters=dict(full_attention=dict(rope_type="linear", factor=8.0, rope_theta=1000.0), sliding_attention=dict(rope_type="default", rope_theta=50.0)),
        ),
        gemma3_version4,
    ),
]
