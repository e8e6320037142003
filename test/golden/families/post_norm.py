"""Families that norm what each part gives."""

from make import SIZES, Case, version4
from transformers import Olmo2Config

PLAIN = dict(rope_type="default", rope_theta=10000.0)

CASES = [
    Case("olmo2", "norms after each part, of whole queries and keys, untied head", Olmo2Config(**SIZES, rope_parameters=PLAIN, tie_word_embeddings=False)),
    Case(
        "olmo2-tied", "the same with biases, one key head, head size apart from the width, tied head, config of transformers 4",
        Olmo2Config(
            **dict(SIZES, num_key_value_heads=1), head_dim=6, attention_bias=True, rms_norm_eps=1e-3, rope_parameters=PLAIN, tie_word_embeddings=True,
        ),
        version4,
    ),
]
