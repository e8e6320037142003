"""Llama's kin with another rotation, norms behind it, or another feed-forward part."""

from make import SIZES, Case, version4
from transformers import ArceeConfig, Ernie4_5Config, HeliumConfig, HunYuanDenseV1Config

PLAIN = dict(rope_type="default", rope_theta=10000.0)

CASES = [
    Case("arcee", "ReLU squared and no gate, untied head", ArceeConfig(**SIZES, rope_parameters=PLAIN, tie_word_embeddings=False)),
    Case(
        "arcee-tied", "the same with biases, head size apart from the width, tied head, config of transformers 4",
        ArceeConfig(**SIZES, head_dim=6, attention_bias=True, mlp_bias=True, rope_parameters=PLAIN, tie_word_embeddings=True), version4,
    ),
    Case("ernie4-5", "neighbouring channels rotated, untied head", Ernie4_5Config(**SIZES, head_dim=8, rope_parameters=PLAIN, tie_word_embeddings=False)),
    Case(
        "ernie4-5-tied", "the same with biases everywhere, yarn, tied head, config of transformers 4",
        Ernie4_5Config(
            **SIZES, head_dim=6, use_bias=True, tie_word_embeddings=True,
            rope_parameters=dict(rope_type="yarn", rope_theta=10000.0, factor=4.0, original_max_position_embeddings=16),
        ),
        version4,
    ),
    Case("helium", "neighbouring channels rotated, untied head", HeliumConfig(**SIZES, head_dim=4, rope_parameters=PLAIN, tie_word_embeddings=False)),
    Case(
        "helium-tied", "the same with biases but on outputs, tied head, config of transformers 4",
        HeliumConfig(**SIZES, head_dim=4, attention_bias=True, mlp_bias=True, rope_parameters=PLAIN, tie_word_embeddings=True), version4,
    ),
    Case("hunyuan", "norms of rotated heads, untied head", HunYuanDenseV1Config(**SIZES, head_dim=8, rope_parameters=PLAIN, tie_word_embeddings=False)),
    Case(
        "hunyuan-tied", "the same with biases and a stretched base, tied head, config of transformers 4",
        HunYuanDenseV1Config(
            **SIZES, head_dim=6, attention_bias=True, tie_word_embeddings=True,
            rope_parameters=dict(rope_type="dynamic", rope_theta=10000.0, factor=1.0, alpha=50.0),
        ),
        version4,
    ),
]
