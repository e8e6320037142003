"""Llama's kin whose layers differ: some do not rotate, some see a window."""

from make import SIZES, Case, version4
from transformers import CwmConfig, MinistralConfig, SeedOssConfig, SmolLM3Config

PLAIN = dict(rope_type="default", rope_theta=10000.0)
LLAMA3 = dict(rope_type="llama3", rope_theta=10000.0, factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0, original_max_position_embeddings=16)

CASES = [
    Case(
        "smollm3", "the second layer does not rotate and has a window, biases, untied head",
        SmolLM3Config(
            **SIZES, no_rope_layers=[1, 0, 1], use_sliding_window=True, sliding_window=6, attention_bias=True, mlp_bias=True, rope_parameters=PLAIN,
            tie_word_embeddings=False,
        ),
    ),
    Case(
        "smollm3-tied", "every second layer does not rotate, windows by layer types, tied head, config of transformers 4",
        SmolLM3Config(
            **SIZES, no_rope_layer_interval=2, use_sliding_window=True, sliding_window=5, rope_parameters=PLAIN, tie_word_embeddings=True,
            layer_types=["sliding_attention", "full_attention", "sliding_attention"],
        ),
        lambda config: {key: value for key, value in version4(config).items() if key != "no_rope_layers"},
    ),
    Case("seed-oss", "biases on queries, keys and values alone, untied head", SeedOssConfig(**SIZES, head_dim=8, rope_parameters=PLAIN, tie_word_embeddings=False)),
    Case(
        "seed-oss-tied", "biases on the outputs and in the feed-forward part alone, tied head, config of transformers 4",
        SeedOssConfig(
            **SIZES, head_dim=None, attention_bias=False, attention_out_bias=True, mlp_bias=True, rope_parameters=PLAIN, tie_word_embeddings=True,
        ),
        version4,
    ),
    Case(
        "cwm", "one layer in four sees all, as by default, llama3 scaling, untied head",
        CwmConfig(**SIZES, head_dim=6, sliding_window=6, rope_parameters=LLAMA3, tie_word_embeddings=False),
    ),
    Case(
        "cwm-tied", "windows by layer types, biases in the feed-forward part, the family's own scaling, tied head, config of transformers 4",
        CwmConfig(
            **SIZES, head_dim=4, mlp_bias=True, sliding_window=5, tie_word_embeddings=True,
            layer_types=["sliding_attention", "sliding_attention", "full_attention"],
        ),
        lambda config: version4({key: value for key, value in config.items() if key != "rope_parameters"}),
    ),
    Case("ministral", "a window on every layer, untied head", MinistralConfig(**SIZES, head_dim=4, sliding_window=6, rope_parameters=PLAIN, tie_word_embeddings=False)),
    Case(
        "ministral-tied", "windows by layer types, head size apart from the width, tied head, config of transformers 4",
        MinistralConfig(
            **SIZES, sliding_window=5, head_dim=6, rope_parameters=PLAIN, tie_word_embeddings=True,
            layer_types=["sliding_attention", "full_attention", "sliding_attention"],
        ),
        version4,
    ),
]
