"""Families in which a router gives each token to some of many feed-forward parts."""

from make import SIZES, Case, version4
from transformers import MixtralConfig, Qwen3MoeConfig

PLAIN = dict(rope_type="default", rope_theta=10000.0)


def version4_qwen(config):
    """transformers 4 said num_experts."""
    config = version4(config)
    config["num_experts"] = config.pop("num_local_experts")
    return config


CASES = [
    Case(
        "mixtral", "two of four experts, a window on every layer, untied head",
        MixtralConfig(**SIZES, num_local_experts=4, sliding_window=6, rope_parameters=PLAIN, tie_word_embeddings=False),
    ),
    Case(
        "mixtral-tied", "two of three experts, tied head, config of transformers 4",
        MixtralConfig(**SIZES, num_local_experts=3, rope_parameters=PLAIN, tie_word_embeddings=True), version4,
    ),
    Case(
        "qwen3-moe", "three of six experts with weights among all, biases, untied head",
        Qwen3MoeConfig(
            **SIZES, head_dim=6, num_experts=6, num_experts_per_tok=3, moe_intermediate_size=8, attention_bias=True, rope_parameters=PLAIN,
            tie_word_embeddings=False,
        ),
    ),
    Case(
        "qwen3-moe-tied", "layers without experts, weights that add up to 1, windows, tied head, config of transformers 4",
        Qwen3MoeConfig(
            **SIZES, num_experts=8, num_experts_per_tok=2, moe_intermediate_size=8, norm_topk_prob=True, mlp_only_layers=[0], decoder_sparse_step=1,
            use_sliding_window=True, sliding_window=6, rope_parameters=PLAIN, tie_word_embeddings=True,
        ),
        version4_qwen,
    ),
]
