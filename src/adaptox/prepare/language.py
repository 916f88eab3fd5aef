"""Which rows are surely in another language than English.

lingua (https://github.com/pemistahl/lingua-py) was made for short text. Even so it takes an English question about
a rare name for another language now and then, so its word alone drops no row: English function words keep a text,
and so does any stretch of it that may be English. The constants were chosen on ToxicChat's train split, where no
English row falls to them, and on tweets.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from adaptox.errors import MissingExtraError
from adaptox.records import Progress, silent
from adaptox.text import normalise

# Words that English has and its neighbours have not, or hardly: no "is" (Dutch), "in" (German), "me" (Spanish).
_ENGLISH_WORDS = """
about after and answer any anyone are because before but could create did does doesn't don't english every
everything explain following from get give going got hers him his how i'd i'll i'm i've if into isn't it it's
its just know like look make mean meaning much never nobody nothing our out please question really rewrite
sentence should since some someone something still summarize tell than thanks that that's the their them then
there these they thing things think this those thought through today tomorrow too translate translation up very
want wasn't what what's when where which while who why with without won't word words would write yesterday you
you're your yours
"""
_ENGLISH = frozenset(_ENGLISH_WORDS.split())
# Addresses, names, tags and character references are of no language.
_NOISE = re.compile(r"(?:https?://|www\.)\S+|[@#]\w+|&#?\w+;|\bRT\b")
_WORD = re.compile(r"[^\W\d_]+(?:['\u2019][^\W\d_]+)?")
_MIN_WORD_SHARE = 0.1
# Two of these words among the first or last few are an instruction, whatever text it is about.
_ENDS, _MIN_WORDS_AT_AN_END = 5, 2
_READ_CHARS = 300
_MIN_LETTERS = 14
_MIN_LETTERS_OTHER_SCRIPT = 4
_OTHER_SCRIPT_SHARE = 0.9
# Trigrams alone load in a fraction of a second and are far too sure of themselves, but where they leave English
# this much, the full models never ruled it out.
_MAX_ENGLISH_BY_TRIGRAMS = 0.2
_MAX_ENGLISH = 0.03
_MIN_TOP = 0.15
_MIN_LEAD = 16.0
# A long text is read in stretches too: an instruction in English before a foreign quotation is English.
_STRETCH_WORDS = 6
_MAX_ENGLISH_STRETCH = 0.3
_BATCH = 1000
_STAGE = "language"

# Languages much written on the web. Each rare one added (Tswana, Shona, Latin …) claims short English texts with an
# unusual name, and is itself hardly ever there.
_LANGUAGES = """
ARABIC BENGALI BOKMAL BULGARIAN CATALAN CHINESE CROATIAN CZECH DANISH DUTCH ENGLISH ESTONIAN FINNISH FRENCH GERMAN
GREEK HEBREW HINDI HUNGARIAN INDONESIAN ITALIAN JAPANESE KOREAN LATVIAN LITHUANIAN PERSIAN POLISH PORTUGUESE
ROMANIAN RUSSIAN SERBIAN SLOVAK SLOVENE SPANISH SWEDISH THAI TURKISH UKRAINIAN VIETNAMESE
"""


@dataclass(frozen=True, slots=True)
class Foreign:
    """Why a text is taken for another language.

    Attributes:
        language: the likeliest language, or ``another script``.
        confidence: of that language, in [0, 1].
        english: confidence of English, in [0, 1].
    """

    language: str
    confidence: float
    english: float


class _Detector(Protocol):
    def compute_language_confidence_values_in_parallel(self, texts: list[str]) -> list[list[Any]]: ...


def foreign(texts: Sequence[str], progress: Progress = silent) -> tuple[Foreign | None, ...]:
    """Find the texts that are surely not English.

    The detector, which takes seconds to load, is asked only about texts that no cheaper test decides.

    Args:
        texts: as rendered.
        progress: told now and then.

    Returns:
        For each text the evidence, or None: English, code, numbers, too short to tell, or in doubt.

    Raises:
        MissingExtraError: the detector is needed and lingua is not installed.
    """
    heads = [normalise(_NOISE.sub(" ", text)).text[:_READ_CHARS] for text in texts]
    found: list[Foreign | None] = [None] * len(heads)
    asked = []
    for position, head in enumerate(heads):
        if _plainly_english(head):
            continue
        if _in_another_script(head):
            found[position] = Foreign("another script", 1.0, 0.0)
        elif sum(char.isalpha() for char in head) >= _MIN_LETTERS:
            asked.append(position)
    for start in range(0, len(asked), _BATCH):
        progress(_STAGE, start, len(asked))
        batch = asked[start : start + _BATCH]
        for position, verdict in zip(batch, _verdicts([heads[index] for index in batch]), strict=True):
            found[position] = verdict
    progress(_STAGE, len(asked), len(asked))
    return tuple(found)


def _verdicts(texts: Sequence[str]) -> list[Foreign | None]:
    verdicts: list[Foreign | None] = [None] * len(texts)
    by_trigrams = _confidences(list(texts), accurate=False)
    suspects = [n for n, values in enumerate(by_trigrams) if _english(values) < _MAX_ENGLISH_BY_TRIGRAMS]
    by_full_models = _confidences([texts[n] for n in suspects])
    for n, values in zip(suspects, by_full_models, strict=True):
        verdict = _surely_foreign(values)
        if verdict and not _has_english_stretch(texts[n]):
            verdicts[n] = verdict
    return verdicts


def _plainly_english(text: str) -> bool:
    words = _WORD.findall(text.lower().replace("\u2019", "'"))
    known = [word in _ENGLISH for word in words]
    if sum(known) >= max(1, _MIN_WORD_SHARE * len(words)):
        return True
    return max(sum(known[:_ENDS]), sum(known[-_ENDS:])) >= _MIN_WORDS_AT_AN_END


def _in_another_script(text: str) -> bool:
    letters = [char for char in text if char.isalpha()]
    other = sum(not unicodedata.name(char, "").startswith("LATIN") for char in letters if not char.isascii())
    return other >= max(_MIN_LETTERS_OTHER_SCRIPT, _OTHER_SCRIPT_SHARE * len(letters))


def _surely_foreign(values: Sequence[Any]) -> Foreign | None:
    top = values[0]
    english = _english(values)
    if english < _MAX_ENGLISH and top.value >= max(_MIN_TOP, _MIN_LEAD * english):
        return Foreign(top.language.name.capitalize(), top.value, english)
    return None


def _has_english_stretch(text: str) -> bool:
    stretches = list(_stretches(text))
    if any(map(_plainly_english, stretches)):
        return True
    return any(_english(values) > _MAX_ENGLISH_STRETCH for values in _confidences(stretches))


def _stretches(text: str) -> Iterator[str]:
    words = text.split()
    if len(words) >= 2 * _STRETCH_WORDS:
        for start in range(0, len(words) - _STRETCH_WORDS + 1, _STRETCH_WORDS):
            yield " ".join(words[start : start + _STRETCH_WORDS])


def _english(values: Sequence[Any]) -> float:
    return next(float(item.value) for item in values if item.language.name == "ENGLISH")


def _confidences(texts: list[str], accurate: bool = True) -> list[list[Any]]:
    return _detector(accurate).compute_language_confidence_values_in_parallel(texts) if texts else []


@functools.cache
def _detector(accurate: bool) -> _Detector:
    try:
        from lingua import Language, LanguageDetectorBuilder
    except ImportError as error:
        raise MissingExtraError("the language filter", "train", "lingua-language-detector") from error
    builder = LanguageDetectorBuilder.from_languages(*(getattr(Language, name) for name in _LANGUAGES.split()))
    detector: _Detector = (builder if accurate else builder.with_low_accuracy_mode()).build()
    return detector
