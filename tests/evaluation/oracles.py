"""Caption metrics written down once more from their papers, in plain Python, to check the scorers against."""

from __future__ import annotations

import math
from collections import Counter
from itertools import pairwise


def _grams(text, order):
    words = text.split()
    return Counter(tuple(words[start : start + order]) for start in range(len(words) - order + 1))


def bleu(hypotheses, references, order):
    """Corpus BLEU of Papineni et al.: clipped precision of orders 1 to `order`, closest reference length."""
    logs, hypothesis_words, reference_words = 0.0, 0, 0
    for n in range(1, order + 1):
        matched = made = 0
        for text, own in zip(hypotheses, references, strict=True):
            ceiling = Counter()
            for reference in own:
                ceiling |= _grams(reference, n)
            matched += sum((_grams(text, n) & ceiling).values())
            made += sum(_grams(text, n).values())
        if not matched:
            return 0.0
        logs += math.log(matched / made) / order
    for text, own in zip(hypotheses, references, strict=True):
        length = len(text.split())
        hypothesis_words += length
        reference_words += min((abs(len(r.split()) - length), len(r.split())) for r in own)[1]
    return math.exp(logs + min(0.0, 1 - reference_words / hypothesis_words))


def rouge(hypothesis, references, beta=1.2):
    """ROUGE-L of one caption: best precision and best recall of the longest common subsequence, words split at blanks."""
    words = hypothesis.split(" ")
    common = [_subsequence(words, reference.split(" ")) for reference in references]
    precision = max(length / len(words) for length in common)
    recall = max(length / len(r.split(" ")) for length, r in zip(common, references, strict=True))
    if not precision or not recall:
        return 0.0
    return (1 + beta**2) * precision * recall / (recall + beta**2 * precision)


def _subsequence(first, second):
    row = [0] * (len(second) + 1)
    for word in first:
        above = row
        row = [0]
        for (left, here), other in zip(pairwise(above), second, strict=True):
            row.append(left + 1 if word == other else max(here, row[-1]))
    return row[-1]


def cider(hypotheses, references, sigma=6.0):
    """CIDEr-D of every caption: clipped tf-idf cosine of orders 1 to 4, with a length penalty, times 10."""
    total = len(references)
    documents = Counter()
    for own in references:
        documents.update({gram for text in own for n in range(1, 5) for gram in _grams(text, n)})

    def vector(text, n):
        return {g: count * math.log(total / max(1, documents[g])) for g, count in _grams(text, n).items()}

    def pairs_of_words(text):
        return max(0, len(text.split()) - 1)

    def cosine(text, reference, n):
        one, two = vector(text, n), vector(reference, n)
        norm = math.hypot(*one.values()) * math.hypot(*two.values())
        product = sum(min(value, two[gram]) * two[gram] for gram, value in one.items() if gram in two)
        penalty = math.exp(-((pairs_of_words(text) - pairs_of_words(reference)) ** 2) / (2 * sigma**2))
        return penalty * (product / norm if norm else product)

    return [
        10 * sum(cosine(text, reference, n) for reference in own for n in range(1, 5)) / 4 / len(own)
        for text, own in zip(hypotheses, references, strict=True)
    ]


def meteor(counts):
    """METEOR 1.5 for English of one caption, from its 23 statistics."""
    hypothesis_words, reference_words, hypothesis_function, reference_function = counts[:4]
    stages = [counts[4 + 4 * k : 8 + 4 * k] for k in range(4)]
    weights = (1.0, 0.6, 0.8, 0.6)
    delta = 0.75
    hits = [
        sum(w * (delta * stage[side] + (1 - delta) * stage[2 + side]) for w, stage in zip(weights, stages, strict=True))
        for side in (0, 1)
    ]
    precision = hits[0] / (delta * (hypothesis_words - hypothesis_function) + (1 - delta) * hypothesis_function or 1)
    recall = hits[1] / (delta * (reference_words - reference_function) + (1 - delta) * reference_function or 1)
    if not precision or not recall:
        return 0.0
    chunks, matched = counts[20], (counts[21] + counts[22]) / 2
    whole = chunks == 1 and counts[21] == hypothesis_words and counts[22] == reference_words
    penalty = 0.0 if whole else 0.6 * (chunks / matched) ** 0.2
    return (1 - penalty) * precision * recall / (0.85 * precision + 0.15 * recall)
