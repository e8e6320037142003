"""Families that multiply embeddings, scores, residuals and logits."""

from make import SIZES, Case, version4
from transformers import GraniteConfig

PLAIN = dict(rope_type="default", rope_theta=10000.0)
SCALES = dict(embedding_multiplier=3.0, attention_multiplier=0.35, residual_multiplier=0.4, logits_scaling=1.7)

CASES = [
    Case("granite", "every multiplier, untied head", GraniteConfig(**SIZES, **SCALES, rope_parameters=PLAIN, tie_word_embeddings=False)),
    Case(
        "granite-tied", "scores multiplied with 1, as by default, biases, tied head, config of transformers 4",
        GraniteConfig(
            **SIZES, **dict(SCALES, attention_multiplier=1.0), attention_bias=True, mlp_bias=True, rope_parameters=PLAIN, tie_word_embeddings=True,
        ),
        lambda config: version4({key: value for key, value in config.items() if key != "attention_multiplier"}),
    ),
]
