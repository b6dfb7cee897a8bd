"""`embed`: a vector of the text."""

from smallfirst.answers import VectorAnswer
from smallfirst.kinds.entries import Entry
from smallfirst.kinds.spec import HeadForm, KindSpec, LabelledText

EMBED = KindSpec[Entry, LabelledText, VectorAnswer](
    answer=VectorAnswer,
    in_words=lambda answer: f"a vector of {len(answer.vector)} numbers",
    unscored="a vector is not right or wrong",
    head=HeadForm.VECTOR,
)
