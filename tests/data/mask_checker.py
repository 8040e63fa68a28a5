"""An independent reader and checker of captions written from masks.

It shares no code and no word list with `geocc.data.masks`: it has its own grammar of the sentences, its own flood fill
and its own parts of the frame, and checks every claim against the pixels.
"""

import re
from dataclasses import dataclass

import numpy as np

CLASSES = {
    "water": (1, ["water"], ["area of water", "body of water", "water surface"], None),
    "ground": (2, ["unvegetated ground"], ["area of unvegetated ground", "patch of unvegetated ground"], None),
    "low": (3, ["low vegetation"], ["area of low vegetation", "patch of low vegetation"], None),
    "trees": (4, ["tree cover"], ["area of trees", "patch of trees", "wooded area"], None),
    "building": (5, ["built-up land"], ["built-up area", "built-up patch"], "building"),
    "playground": (6, ["playground surface"], ["playground", "sports ground"], "sports field"),
}
IRREGULAR = {"body of water": "bodies of water"}
NUMBERS = {
    word: number
    for number, word in enumerate(("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"), 1)
}
TOP, BOTTOM, LEFT, RIGHT = (0, 1, 0, 0.5), (0, 1, 0.5, 1), (0, 0.5, 0, 1), (0.5, 1, 0, 1)
TL, TR, BL, BR = (0, 0.5, 0, 0.5), (0.5, 1, 0, 0.5), (0, 0.5, 0.5, 1), (0.5, 1, 0.5, 1)
PLACES = {
    "in the upper left": TL, "in the top left part of the scene": TL, "at the top left": TL,
    "in the upper right": TR, "in the top right part of the scene": TR, "at the top right": TR,
    "in the lower left": BL, "in the bottom left part of the scene": BL, "at the bottom left": BL,
    "in the lower right": BR, "in the bottom right part of the scene": BR, "at the bottom right": BR,
    "in the center": (0.25, 0.75, 0.25, 0.75), "in the middle of the scene": (0.25, 0.75, 0.25, 0.75),
    "around the center of the scene": (0.25, 0.75, 0.25, 0.75),
    "at the top": TOP, "in the upper half of the scene": TOP, "in the upper part": TOP,
    "at the bottom": BOTTOM, "in the lower half of the scene": BOTTOM, "in the lower part": BOTTOM,
    "on the left": LEFT, "in the left half of the scene": LEFT, "on the left side": LEFT,
    "on the right": RIGHT, "in the right half of the scene": RIGHT, "on the right side": RIGHT,
    "across the scene": "across", "in all four quarters of the scene": "across",
}  # fmt: skip
FRACTIONS = {"a tenth": 10, "a fifth": 20, "a quarter": 25, "a third": 33.3, "half": 50, "two thirds": 66.7}
NO_CHANGE = {
    "the scene is the same as before", "there is no difference", "the two scenes seem identical",
    "no change has occurred", "almost nothing has changed",
}  # fmt: skip
ONE = r"(?P<be>is|has|was|has been)"
GAIN = {"appear", "appears", "appeared", "emerge", "emerges", "emerged", "built", "constructed"}
LOSS = {"disappear", "disappears", "disappeared", "vanish", "vanishes", "vanished", "removed", "lost"}
PLURAL_VERBS = {
    "appear",
    "emerge",
    "disappear",
    "vanish",
    "become",
    "turn",
    "give",
    "replace",
    "take",
    "are",
    "were",
    "have",
}
SINGULAR_VERBS = {
    "appears",
    "emerges",
    "disappears",
    "vanishes",
    "becomes",
    "turns",
    "gives",
    "replaces",
    "takes",
    "is",
    "was",
    "has",
}


@dataclass
class Thing:
    """A noun phrase: which class, of what kind, and what it claims of its number."""

    label: int
    kind: str
    number: str
    plural: bool


def read_thing(text):
    for label, masses, areas, thing in CLASSES.values():
        for mass in masses:
            if text in {mass, f"some {mass}"}:
                return Thing(label, "mass", "", plural=False)
        for kind, nouns in (("area", areas), ("thing", [thing] if thing else [])):
            for noun in nouns:
                head, of, rest = noun.partition(" of ")
                plural = IRREGULAR.get(noun, f"{head}{'es' if head.endswith(('ch', 'sh')) else 's'}{of}{rest}")
                article = "an" if noun[0] in "aeiou" else "a"
                if text == f"{article} {noun}":
                    return Thing(label, kind, "one", plural=False)
                found = re.fullmatch(rf"(?:(\w+) )?{re.escape(plural)}", text)
                if found and (found[1] is None or found[1] in {*NUMBERS, "some", "several", "many"}):
                    return Thing(label, kind, found[1] or "plural", plural=True)
    raise AssertionError(f"not a noun phrase: {text!r}")


def patches(where):
    """Sizes of the patches, 8-connected, by flood fill."""
    left = {(int(row), int(col)) for row, col in zip(*where.nonzero(), strict=True)}
    sizes = []
    while left:
        stack, size = [left.pop()], 0
        while stack:
            row, col = stack.pop()
            size += 1
            for near in [(row + dy, col + dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)]:
                if near in left:
                    left.remove(near)
                    stack.append(near)
        sizes.append(size)
    return sizes


class Checker:
    """Checks captions of one pair."""

    def __init__(self, before, after, changed):
        self.before, self.after, self.changed = before, after, changed
        self._patches = {}

    def check(self, caption):
        text = caption.rstrip(".")
        text = text[0].lower() + text[1:]
        if not self.changed.any():
            assert text in NO_CHANGE, caption
            return
        assert text not in NO_CHANGE, caption
        clauses = re.split(r" and ", text)
        parsed = [self.clause(clause) for clause in clauses]
        if len(parsed) > 1:  # a place at the end could be heard with every clause
            placed = [place is not None for place in parsed]
            assert all(placed) or not any(placed), caption

    def clause(self, text):
        place, text = self.take_place(text)
        amount, text = self.take_amount(text)
        where, things = self.find(text)
        assert where.any(), text
        for thing in things:
            self.check_number(thing, where)
        if place is not None:
            self.check_place(PLACES[place], where)
        if amount is not None:
            self.check_amount(amount, where.mean())
        return place

    def take_place(self, text):
        for phrase in sorted(PLACES, key=len, reverse=True):
            if text.startswith(f"{phrase}, "):
                return phrase, text[len(phrase) + 2 :]
            if text.endswith(f" {phrase}") or f" {phrase} in place of" in text:
                return phrase, text.replace(f" {phrase}", "", 1)
        return None, text

    def take_amount(self, text):
        found = re.search(r"(?:on )?((?:about|less than|more than) [\w% ]+?) of the scene", text)
        if found is None:
            return None, text
        rest = text.replace(found[0], "AMOUNT" if not found[0].startswith("on ") else "", 1)
        return found[1], " ".join(rest.split())

    def find(self, text):
        """Return the pixels that a clause speaks of, and its noun phrases."""
        be = r"(?:is|are|was|were|has been|have been)"
        has = r"(?:has |have )?"
        for pattern, order in (
            (rf"(.+?) {be} replaced by (.+)", (0, 1)),
            (rf"(.+?) {has}(?:gives?|given) way to (.+)", (0, 1)),
            (rf"(.+?) {has}(?:turns?|turned) into (.+)", (0, 1)),
            (rf"(.+?) {has}(?:becomes?) (.+)", (0, 1)),
            (rf"(.+?) {has}(?:replaces?|replaced|takes? the place of|taken the place of) (.+)", (1, 0)),
            (r"there (?:is|are) now (.+) in place of (.+)", (1, 0)),
        ):
            found = re.fullmatch(pattern, text)
            if found:
                things = [read_thing(part) for part in found.groups()]
                old, new = (things[at] for at in order)
                self.check_agreement(text, read_thing(found[1]), found[1])
                return self.changed & (self.before == old.label) & (self.after == new.label), things
        found = re.fullmatch(r"there is new (.+)", text)
        if found:
            return self.changed & (self.after == read_thing(found[1]).label), []
        words = text.split()
        if words[-1] in GAIN | LOSS and "AMOUNT" not in text:
            subject = re.sub(rf"( {be}| has| have)? {words[-1]}$", "", text)
            thing = read_thing(subject)
            self.check_agreement(text, thing, subject)
            plane = self.after if words[-1] in GAIN else self.before
            return self.changed & (plane == thing.label), [thing]
        return self.whole(text), []

    def whole(self, text):
        done = r"(?:has changed|have changed|was altered|were altered|has been altered|have been altered)"
        found = re.fullmatch(
            rf"(\w+) (area|part of the scene|place)(s?) {done}|(\w+) (areas|parts of the scene|places) {done}", text
        )
        if found:
            count = found[1] or found[4]
            number = 1 if count in {"a", "an"} else NUMBERS[count]
            assert (number > 1) == ("have" in text or "were" in text), text
            self.check_number(Thing(0, "area", "one" if number == 1 else count, plural=number > 1), self.changed)
            return self.changed
        assert re.fullmatch(
            rf"AMOUNT {done}|(?:something|the scene) {done}|there is change|change is visible|change can be seen"
            r"|(?:the change|what has changed) (?:covers|affects|makes up) AMOUNT",
            text,
        ), f"not understood: {text!r}"
        return self.changed

    def check_agreement(self, text, thing, subject):
        if text.startswith("there "):
            assert (text.split()[1] == "are") == thing.plural, text
            return
        verb = text.removeprefix(subject).split()[0]
        assert verb in (PLURAL_VERBS if thing.plural else SINGULAR_VERBS), text

    def check_number(self, thing, where):
        if thing.kind == "mass":
            return
        key = where.tobytes()
        if key not in self._patches:
            self._patches[key] = patches(where)
        sizes = self._patches[key]
        large = [size for size in sizes if size >= 0.001 * where.size]
        if thing.kind == "thing" and thing.number == "one":
            return  # one such thing at least
        if thing.number in NUMBERS:
            assert len(large) == NUMBERS[thing.number], (thing, sizes)
            assert sum(sizes) - sum(large) <= 0.05 * sum(sizes), (thing, sizes)
            return
        assert len(large) >= {"plural": 2, "some": 2, "several": 3, "many": 6}[thing.number], (thing, sizes)

    def check_place(self, part, where):
        def inside(box):
            rows = slice(round(box[2] * where.shape[0]), round(box[3] * where.shape[0]))
            cols = slice(round(box[0] * where.shape[1]), round(box[1] * where.shape[1]))
            return where[rows, cols].sum() / where.sum()

        if part == "across":
            assert min(inside(box) for box in (TL, TR, BL, BR)) >= 0.1, "across"
        else:
            assert inside(part) >= 0.9, (part, inside(part))

    def check_amount(self, text, share):
        percent = 100 * share
        exact = re.fullmatch(r"about (\d+)(?: percent|%)", text)
        if exact:
            assert abs(percent - int(exact[1])) <= 0.5, (text, percent)
        elif text == "less than one percent":
            assert percent < 1
        elif text == "more than half":
            assert percent > 50
        else:
            assert abs(percent - FRACTIONS[text.removeprefix("about ")]) <= 2, (text, percent)


def random_labels(seed):
    """From-to labels of random patches: none, one, several, specks, or all over the frame."""
    rng = np.random.default_rng(seed)
    height, width = (int(side) for side in rng.choice([24, 32, 40, 48], size=2))
    before, after = np.zeros((2, height, width), dtype=np.int64)
    y, x = np.mgrid[0:height, 0:width]
    for _ in range(int(rng.choice([0, 1, 1, 2, 2, 3, 4, 6, 9]))):
        one, two = rng.choice(np.arange(1, 7), size=2, replace=False)
        row, col = rng.uniform(0, height), rng.uniform(0, width)
        tall, wide = rng.uniform(0.4, height / 3), rng.uniform(0.4, width / 3)
        if rng.random() < 0.5:
            where = (np.abs(y - row) < tall) & (np.abs(x - col) < wide)
        else:
            where = ((y - row) / tall) ** 2 + ((x - col) / wide) ** 2 < 1
        before[where], after[where] = one, two
    if rng.random() < 0.2:
        specks = rng.random((height, width)) < 0.01
        before[specks], after[specks] = 3, 5
    return before, after
