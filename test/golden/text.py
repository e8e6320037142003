"""Golden numbers of the text metrics from rouge-score and sacrebleu: writes fixtures/text/metrics.json.

    python test/golden/text.py      # needs rouge-score and sacrebleu
"""
import json
import pathlib

import sacrebleu
from rouge_score.rouge_scorer import RougeScorer
from sacrebleu.metrics import BLEU

OUT = pathlib.Path(__file__).parent / "fixtures" / "text" / "metrics.json"

# candidate, reference
PAIRS = [
    ("the cat sat on the mat", "the cat is on the mat"),
    ("Police killed the gunman.", "the gunman police killed"),
    ("", "anything"),
    ("anything", ""),
    ("same text, exactly.", "same text, exactly."),
    ("no word shared", "all others differ"),
    ("one", "one"),
    ("two words", "two other"),
    ("the the the the the the the", "the cat is on the mat"),
    ("It costs $1,234.56 - or 3-4 dollars (about 12%) & more; \"quoted\".", "It costs $1,234.50, i.e. 3-5 dollars (about 12%) and more."),
    ("A &quot;tagged&quot; line &amp; more", "A \"tagged\" line & more"),
    ("trailing space and tab \t ", " leading and trailing space"),
    ("line\nbreaks are one\nspace", "line breaks are one space"),
    ("three hundred forty seven", "three hundred forty six"),
    ("Größe und Übermut", "Grösse und Übermut"),
    ("数字は三百四十七です", "数字は三百四十六です"),
    ("U.S.A. won 3.5 to 2.0, e.g. in 1999.", "The U.S.A. won 3.5 to 2, for example in 1999."),
    ("a b c d e f g h i j k l m n o p", "a b c d e f g h i j"),
    ("a b c", "a b c d e f g h i j"),
    ("emoji 🙂 here", "emoji 🙂🙂 here"),
]

SETS = [
    ["the cat sat on the mat", "the dog sat on the mat", "a bird flew over the house"],
    ["same words here", "same words here", "same words here"],
    ["alpha beta", "gamma delta"],
    ["anna", "annabel", "hannah", "otto"],
    ["one two three four five six", "one two three four", "one two seven eight nine ten eleven", ""],
]


def sentence(tokenizer, hypothesis, references):
    metric = BLEU(tokenize=tokenizer, smooth_method="exp", effective_order=True)
    return metric.sentence_score(hypothesis, references).score / 100


def self_bleu(tokenizer, texts):
    return sum(sentence(tokenizer, t, texts[:i] + texts[i + 1 :]) for i, t in enumerate(texts)) / len(texts)


def main():
    rouge = RougeScorer(["rouge1", "rouge2", "rougeL"], use_stemmer=False)
    pairs = []
    for candidate, reference in PAIRS:
        scores = rouge.score(reference, candidate)
        pairs.append({
            "candidate": candidate, "reference": reference,
            "rouge1": scores["rouge1"].fmeasure, "rouge2": scores["rouge2"].fmeasure, "rouge_l": scores["rougeL"].fmeasure,
            "bleu": sentence("13a", candidate, [reference]), "bleu_characters": sentence("char", candidate, [reference]),
        })
    sets = [{"texts": t, "word": self_bleu("13a", t), "character": self_bleu("char", t)} for t in SETS]
    OUT.parent.mkdir(parents=True, exist_ok=True)
    source = f"rouge-score 0.1.2 without stemming; sacrebleu {sacrebleu.__version__}, exponential smoothing, effective order"
    OUT.write_text(json.dumps({"source": source, "pairs": pairs, "sets": sets}, indent=1, ensure_ascii=False) + "\n")
    print(f"{len(pairs)} pairs, {len(sets)} sets")


if __name__ == "__main__":
    main()
