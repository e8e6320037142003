"""Families that norm what each part gives."""

from make import SIZES, Case, version4
from transformers import Exaone4Config, Olmo2Config, Olmo3Config

PLAIN = dict(rope_type="default", rope_theta=10000.0)


def olmo3_version4(config):
    """The scaling is that of layers that see all; the base is that of all layers."""
    full = config.pop("rope_parameters")["full_attention"]
    del config["layer_types"]
    return version4(dict(config, rope_parameters=full))


CASES = [
    Case("olmo2", "norms after each part, of whole queries and keys, untied head", Olmo2Config(**SIZES, rope_parameters=PLAIN, tie_word_embeddings=False)),
    Case(
        "olmo2-tied", "the same with biases, one key head, head size apart from the width, tied head, config of transformers 4",
        Olmo2Config(
            **dict(SIZES, num_key_value_heads=1), head_dim=6, attention_bias=True, rms_norm_eps=1e-3, rope_parameters=PLAIN, tie_word_embeddings=True,
        ),
        version4,
    ),
    Case(
        "olmo3", "windows and a rotary embedding of their own where layers slide, yarn where they see all, untied head",
        Olmo3Config(
            **SIZES, sliding_window=6, tie_word_embeddings=False, layer_types=["sliding_attention", "full_attention", "sliding_attention"],
            rope_parameters=dict(
                full_attention=dict(rope_type="yarn", rope_theta=5000.0, factor=4.0, original_max_position_embeddings=16),
                sliding_attention=dict(rope_type="default", rope_theta=20000.0),
            ),
        ),
    ),
    Case(
        "olmo3-tied", "four layers of which the last sees all, as by default, biases, tied head, config of transformers 4",
        Olmo3Config(
            **dict(SIZES, num_hidden_layers=4), sliding_window=5, attention_bias=True, tie_word_embeddings=True,
            rope_parameters=dict(
                full_attention=dict(rope_type="yarn", rope_theta=5000.0, factor=4.0, original_max_position_embeddings=16),
                sliding_attention=dict(rope_type="default", rope_theta=500000.0),
            ),
        ),
        olmo3_version4,
    ),
    Case(
        "exaone4", "a window, and no rotation where layers see all, norms of heads and after each part, untied head",
        Exaone4Config(
            **SIZES, sliding_window=6, tie_word_embeddings=False, rope_parameters=PLAIN,
            layer_types=["sliding_attention", "full_attention", "sliding_attention"],
        ),
    ),
    Case(
        "exaone4-tied", "no window, and every layer rotates, head size apart from the width, tied head, config of transformers 4",
        Exaone4Config(
            **SIZES, head_dim=6, sliding_window=None, layer_types=["full_attention"] * 3, tie_word_embeddings=True, rope_parameters=PLAIN,
        ),
        version4,
    ),
]
