"""Llama's scalings of the rotary embedding, and families that differ from it by little."""

from make import SIZES, Case, version4
from transformers import LlamaConfig, MistralConfig, Qwen2Config, Qwen3Config

PLAIN = dict(rope_type="default", rope_theta=10000.0)


def llama(rope, **own):
    return LlamaConfig(**SIZES, tie_word_embeddings=False, rope_parameters=dict(rope_theta=10000.0, **rope), **own)


CASES = [
    Case("llama-yarn", "YaRN scaling", llama(dict(rope_type="yarn", factor=4.0, original_max_position_embeddings=16))),
    Case(
        "llama-yarn-mscale", "YaRN with magnitudes and a ramp between channels, config of transformers 4",
        llama(dict(rope_type="yarn", factor=4.0, original_max_position_embeddings=16, mscale=0.7, mscale_all_dim=1.2, truncate=False, beta_fast=16.0)),
        version4,
    ),
    Case("llama-dynamic", "dynamic scaling, which begins beyond the context", llama(dict(rope_type="dynamic", factor=2.0))),
    Case(
        "llama-longrope", "longrope within its short factors",
        llama(dict(rope_type="longrope", factor=2.0, original_max_position_embeddings=32, short_factor=[1.0, 1.5], long_factor=[2.0, 4.0])),
    ),
    Case("mistral", "a window on every layer, untied head", MistralConfig(**SIZES, sliding_window=6, rope_parameters=PLAIN, tie_word_embeddings=False)),
    Case(
        "mistral-tied", "no window, tied head, head size apart from the width, config of transformers 4",
        MistralConfig(**SIZES, sliding_window=None, head_dim=6, rope_parameters=PLAIN, tie_word_embeddings=True), version4,
    ),
    Case(
        "qwen2-sliding", "windows from a layer on, config of transformers 4",
        Qwen2Config(**SIZES, use_sliding_window=True, sliding_window=6, max_window_layers=1, rope_parameters=PLAIN, tie_word_embeddings=False), version4,
    ),
    Case(
        "qwen3-sliding", "windows by layer types, tied head",
        Qwen3Config(
            **SIZES, head_dim=8, use_sliding_window=True, sliding_window=6, rope_parameters=PLAIN, tie_word_embeddings=True,
            layer_types=["sliding_attention", "full_attention", "sliding_attention"],
        ),
    ),
]
