"""How long a text is for a model that reads it, before anybody tokenises it, and which text it is.

Batches are formed by this, in a router, which has no tokenizer: a hint, and no limit.
"""

import re
from hashlib import blake2b

#: What a tokenizer of BERT's kind makes one token of, more or less: up to eight letters of a Latin
#: word, up to four of another alphabet's, a character of a script without spaces, a sign.
_PIECES = re.compile(
    r"[0-9A-Za-z\u00c0-\u024f]{1,8}"
    r"|[\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff]"
    r"|[^\W\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff]{1,4}"
    r"|[^\w\s]"
)
#: Of a longer text a beginning of so many characters tells how long all of it is.
_ENOUGH_CHARS = 2000
#: Tokens that frame a text.
_FRAME = 2


def estimated_tokens(text: str) -> int:
    """About how many tokens a text has, with those that frame it.

    Off by 0.8 tokens of 14 in BANKING77, 1.2 of 13 in headlines, 9 of 102 in mails with MiniLM's
    tokenizer (root mean square); a quarter of the characters is off by 1.9, 4.2 and 9.
    """
    found = len(_PIECES.findall(text[:_ENOUGH_CHARS]))
    if len(text) > _ENOUGH_CHARS:
        found = found * len(text) // _ENOUGH_CHARS
    return found + _FRAME


def text_key(text: str) -> str:
    """What tells a text from others: equal texts that wait for several tasks are read once."""
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=6).hexdigest()
