"""Phi-3 and what followed it."""

from make import SIZES, Case, version4
from transformers import Phi3Config

# Half of a head of 8 channels, and three quarters of it.
WIDE = {**SIZES, "hidden_size": 32}
LONGROPE = dict(rope_type="longrope", rope_theta=10000.0, short_factor=[1.0, 1.5, 2.0], long_factor=[2.0, 4.0, 8.0])


def phi4_mini(config):
    """Phi-4-mini's config.json: "type" within the scaling, what else belongs to it outside."""
    config = version4(config)
    scaling = config["rope_scaling"]
    scaling = {"type": "longrope", "short_factor": scaling["short_factor"], "long_factor": scaling["long_factor"]}
    return {**config, "rope_scaling": scaling, "attention_bias": False, "full_attn_mod": 1, "interpolate_factor": 1, "lm_head_bias": False, "mlp_bias": False}


CASES = [
    Case(
        "phi3", "fused projections, a window, a half of each head rotated, untied head",
        Phi3Config(**WIDE, sliding_window=6, rope_parameters=dict(rope_type="default", rope_theta=10000.0, partial_rotary_factor=0.5)),
    ),
    Case(
        "phi3-longrope", "longrope on three quarters of each head, as in Phi-4-mini, tied head, config of transformers 4",
        Phi3Config(
            **WIDE, sliding_window=262144, original_max_position_embeddings=32, tie_word_embeddings=True, rope_parameters=dict(**LONGROPE, partial_rotary_factor=0.75),
        ),
        phi4_mini,
    ),
]
