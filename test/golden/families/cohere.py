"""Command's generations."""

from make import SIZES, Case, version4
from transformers import Cohere2Config, CohereConfig

PLAIN = dict(rope_type="default", rope_theta=10000.0)


def first_release(config):
    """Command R7B's config.json, which says in words what its class does."""
    config = {key: value for key, value in config.items() if key not in ("layer_types", "_sliding_window_pattern")}
    words = dict(
        layer_switch=2, order_of_interleaved_layers="local_attn_first", position_embedding_type="rope_gptj", rotary_pct=1.0, sliding_window_pattern=2,
        use_embedding_sharing=True, use_gated_activation=True, use_parallel_block=True, use_parallel_embedding=False,
    )
    return version4({**config, **words})


CASES = [
    Case(
        "cohere", "parallel parts, LayerNorm without biases, a norm for each head, scaled logits, biases, untied head",
        CohereConfig(**SIZES, use_qk_norm=True, attention_bias=True, logit_scale=0.3, rope_parameters=PLAIN, tie_word_embeddings=False),
    ),
    Case(
        "cohere-tied", "as many keys as heads, no norms of heads, tied head, a linear scaling, config of transformers 4",
        CohereConfig(**{**SIZES, "num_key_value_heads": 4}, logit_scale=0.0625, rope_parameters=dict(rope_type="linear", factor=2.0, rope_theta=8000.0)), version4,
    ),
    Case(
        # No biases: those of keys that are not rotated have no gradient but that of rounding.
        "cohere2", "windows by layer types, no rotation where a layer sees all, untied head",
        Cohere2Config(
            **SIZES, sliding_window=6, logit_scale=0.25, rope_parameters=PLAIN, tie_word_embeddings=False,
            layer_types=["full_attention", "sliding_attention", "sliding_attention"],
        ),
    ),
    Case("cohere2-tied", "a window pattern, tied head, config of transformers 4", Cohere2Config(**SIZES, sliding_window=6, logit_scale=0.5, sliding_window_pattern=2, rope_parameters=PLAIN), first_release),
]
