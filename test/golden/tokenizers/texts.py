"""Two hundred texts of many scripts, spaces, digits and signs, made with a seed; and a corpus to train small vocabularies on."""
import random

WORDS = (
    "the quick brown fox jumps over lazy dogs while seven wizards mix potions three hundred forty seven house water "
    "running under bridges don't can't we'll it's they've I'm naïve café façade Größe Übermut straße señor coração żółć "
    "Привет мир сегодня хорошая погода Ελλάδα ήλιος θάλασσα שלום עולם السلام عليكم كتاب नमस्ते दुनिया हिन्दी ภาษาไทย สวัสดี "
    "日本語 東京 こんにちは 世界 カタカナ ﾊﾝｶｸ 中文 汉字 測試 한국어 안녕하세요 Việt Nam İstanbul ığdır ﬁnal ﬂow Ⅷ ① ½ ㎞ Ａ１Ｂ２ x² H₂O e\u0301te\u0301 n\u0303 "
    "Å ſ ß ẞ ǆ İ ﷺ ƒ def return print foo_bar camelCase HTTPServer v2.0.1 user@example.org https://example.org/a?b=c&d=1 "
    "<s> </s> <|im_end|> <|user|> [CLS] [MASK] <mask> <x> <tool> [INST]"
).split(" ")
SPACES = [" ", " ", " ", " ", " ", "  ", "   ", "\t", "\n", "\n\n", "\r\n", "\u00a0", "\u3000", "\u200b", "\u2028", "\u0085", "", "\u2009", "\v", "\f"]
SIGNS = list(".,;:!?'\"()[]{}<>-–—…/\\|@#$%^&*_+=~`«»“”‘’¿¡§¶•·。、，！？「」🙂👍🏽👩‍👩‍👧🇯🇵🏴󠁧󠁢󠁥󠁮󠁧󠁿❤️☃©®™€£¥₹∑≠≤√∞→⇒\u00ad\ufeff\u200d\u0301\u0000\u0007\ufffd\ue000") + ["🙂🙂", "...", "--", "''", '""', "``", "\U000e0001", "\U0010ffff"]
DIGITS = ["0", "7", "12", "347", "2026", "1,234.56", "3.14159", "1e-10", "٣٤٧", "३४७", "１２３", "①②", "x1y22z333", "000", "12345678901234567890", "²³", "½"]


def texts(count=200, seed=12):
    """Texts, each once: the first are hard by hand, the rest drawn."""
    chance = random.Random(seed)
    found = ["", " ", "  ", "\n", "a", "Hello world", " Hello  world ", "347= three hundred forty seven", "don't we'll I'M", "e\u0301 é ﬁ Ⅷ",
             "<s>Hi</s>", "a<mask>b <mask> c", "x <x>y<x> z", "[INST] go [/INST]", "1 22 333 4444", "٣٤٧ 347 ३४७", "a.b, c! d?? (e)",
             "日本語のテキスト", "👩‍👩‍👧🇯🇵", "tab\tand\nlines\r\n\r\n  end  ", "ß ẞ ſ İ ı", "a\u0000b\u200bc\ufeffd", "▁under▁scores ▁", "Ġbyte Ċ level"]
    seen = set(found)
    while len(found) < count:
        parts = []
        for _ in range(chance.choice([1, 2, 3, 5, 8, 13, 21])):
            parts.append(chance.choice(chance.choice([WORDS, WORDS, WORDS, SIGNS, DIGITS])))
            parts.append(chance.choice(SPACES))
            if chance.random() < 0.1:
                parts.append(chr(chance.choice([chance.randrange(0x20, 0x2000), chance.randrange(0x3000, 0xD800), chance.randrange(0x1F000, 0x1FB00)])))
        text = "".join(parts)[chance.choice([0, 0, 1]):]
        if text not in seen:
            seen.add(text)
            found.append(text)
    return found


def corpus(seed=7):
    """Lines of common words, so that small vocabularies hold some of them whole."""
    chance = random.Random(seed)
    return [" ".join(chance.choice(WORDS[:70]) for _ in range(12)) for _ in range(300)]
