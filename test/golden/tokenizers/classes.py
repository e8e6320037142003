"""Prints what services/shared/ml/text/tokenizer/auto-classes.ts holds, as transformers has it: run after a new release.

    HF_HUB_OFFLINE=1 python test/golden/tokenizers/classes.py
"""
import os

os.environ["TRANSFORMERS_VERBOSITY"] = "error"
import transformers
from transformers.models.auto.tokenization_auto import MODELS_WITH_INCORRECT_HUB_TOKENIZER_CLASS, TOKENIZER_MAPPING_NAMES, tokenizer_class_from_name
from transformers.tokenization_utils_base import PreTrainedTokenizerBase
from transformers.tokenization_utils_tokenizers import TokenizersBackend


def main():
    types = {}
    for model, name in TOKENIZER_MAPPING_NAMES.items():
        if name: types.setdefault(name.removesuffix("Fast"), []).append(model)
    for name in sorted(types): print(f"{name}: {' '.join(types[name])}")
    print("\nwrong class:", *sorted(MODELS_WITH_INCORRECT_HUB_TOKENIZER_CLASS))
    kinds = {"rebuilt": set(), "python": set()}
    names = {n for n in dir(transformers) if "Tokenizer" in n} | {n for n in TOKENIZER_MAPPING_NAMES.values() if n}
    for name in names:
        try: cls = tokenizer_class_from_name(name)
        except Exception: continue
        if not isinstance(cls, type) or not issubclass(cls, PreTrainedTokenizerBase) or cls is TokenizersBackend: continue
        kinds["rebuilt" if issubclass(cls, TokenizersBackend) else "python"].add(name.removesuffix("Fast"))
    for kind, found in kinds.items(): print(f"\n{kind}:", *sorted(found))


if __name__ == "__main__":
    main()
