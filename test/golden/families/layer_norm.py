"""Families with layer norms and biases."""

import torch
from make import SIZES, Case, version4
from transformers import GPT2Config, GPTBigCodeConfig, GPTNeoXConfig, OPTConfig, StableLmConfig, Starcoder2Config

PLAIN = dict(rope_type="default", rope_theta=10000.0)
WIDE = dict(SIZES, hidden_size=32)
OWN_KEYS = {key: value for key, value in WIDE.items() if key != "num_key_value_heads"}
GPT2 = dict(
    vocab_size=48, n_embd=16, n_layer=3, n_head=4, n_positions=64, initializer_range=0.25, bos_token_id=1, eos_token_id=2, pad_token_id=0,
    use_cache=False,
)

OPT = dict(
    vocab_size=48, hidden_size=16, num_hidden_layers=3, num_attention_heads=4, max_position_embeddings=64, ffn_dim=24, init_std=0.25,
    word_embed_proj_dim=16, bos_token_id=1, eos_token_id=2, pad_token_id=0, use_cache=False,
)


def version4_neox(config):
    """GPT-NeoX had its own words for the rotary embedding."""
    config = version4(config)
    config["rotary_emb_base"] = config.pop("rope_theta")
    config["rotary_pct"] = config.pop("partial_rotary_factor")
    return config


def first_gpt2(tensors):
    """As the first checkpoints have it: without a prefix, and with the causal mask."""
    named = {name.removeprefix("transformer."): tensor for name, tensor in tensors.items()}
    mask = torch.ones(64, 64).tril()[None, None]
    return {**named, **{f"h.{layer}.attn.bias": mask.clone() for layer in range(3)}}


CASES = [
    Case("gpt-neox", "both parts side by side, a quarter of each head rotated, untied head", GPTNeoXConfig(**OWN_KEYS, tie_word_embeddings=False)),
    Case(
        "gpt-neox-tied", "one part after the other, half of each head rotated with linear scaling, no attention biases, tied head, config of transformers 4",
        GPTNeoXConfig(
            **OWN_KEYS, use_parallel_residual=False, attention_bias=False, hidden_act="gelu_new", tie_word_embeddings=True,
            rope_parameters=dict(rope_type="linear", factor=2.0, rope_theta=5000.0, partial_rotary_factor=0.5),
        ),
        version4_neox,
    ),
    Case(
        "gpt2", "scores scaled by the layer's number, an inner width of its own, untied head",
        GPT2Config(**GPT2, n_inner=24, scale_attn_by_inverse_layer_idx=True, tie_word_embeddings=False),
    ),
    Case(
        "gpt2-tied", "tied head, unscaled scores, names and masks of the first checkpoints, config of transformers 4",
        GPT2Config(**GPT2, scale_attn_weights=False, reorder_and_upcast_attn=True), version4, rename=first_gpt2,
    ),
    Case(
        "stablelm", "both parts side by side, a norm for each head, biases, untied head",
        StableLmConfig(**WIDE, use_parallel_residual=True, qk_layernorm=True, use_qkv_bias=True, tie_word_embeddings=False),
    ),
    Case(
        "stablelm-tied", "one part after the other, half of each head rotated, tied head, config of transformers 4",
        StableLmConfig(**WIDE, tie_word_embeddings=True, rope_parameters=dict(PLAIN, partial_rotary_factor=0.5)), version4,
    ),
    Case(
        "starcoder2", "a window on every layer, biases, untied head",
        Starcoder2Config(**SIZES, sliding_window=6, rope_parameters=PLAIN, tie_word_embeddings=False),
    ),
    Case(
        "starcoder2-tied", "no biases but those of norms, exact GELU, tied head, config of transformers 4",
        Starcoder2Config(**SIZES, use_bias=False, hidden_act="gelu", rope_parameters=PLAIN), version4,
    ),
    Case(
        "gpt-bigcode", "one key and value for all heads, an inner width of its own, untied head",
        GPTBigCodeConfig(**GPT2, n_inner=24, multi_query=True, tie_word_embeddings=False),
    ),
    Case(
        "gpt-bigcode-tied", "a key and value for each head, tied head, config of transformers 4",
        GPTBigCodeConfig(**GPT2, multi_query=False, attention_softmax_in_fp32=False), version4,
    ),
    Case("opt", "biases and ReLU, untied head", OPTConfig(**OPT, tie_word_embeddings=False)),
    Case("opt-tied", "no biases but those of norms, tied head, config of transformers 4", OPTConfig(**OPT, enable_bias=False, activation_function="gelu"), version4),
]
