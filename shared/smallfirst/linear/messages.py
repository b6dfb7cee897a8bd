"""What of a mail its writer wrote for this occasion: no quoted thread, signature or legal notice.

Marks that mail programs and lawyers set decide, and nothing is guessed: what bears no mark is read.
What is left out becomes spaces, so that every place in the text stays what it was; at the end it is
cut off. Most tokenizers skip spaces; of those that do not, a model sees some before an answer that
stands below its quotation.
"""

import regex

from smallfirst.catalogue import Task

#: From here to the end of the text nothing is new: a signature (RFC 3676, section 4.3), and an
#: answered mail below the answer, as Outlook and its kin put it there.
_REST = regex.compile(
    r"""
    ^--[ ]?$
    | ^-{2,}[ ]*(?:Original[ ]Message|Urspr\u00fcngliche[ ]Nachricht|Message[ ]d'origine)[ ]*-{2,}
    | ^(?:_{10,}\s*\n)?(?:From|Von|De)[ ]?:[^\n]+\n(?:Sent|Date|Gesendet|Datum|Envoy\u00e9)[ ]?:
    """,
    regex.VERBOSE | regex.MULTILINE,
)
#: The line that announces a quotation, on two lines where a program has wrapped it.
_ANNOUNCED = regex.compile(
    r"""
    ^(?:On|Am|Le)[ ](?=(?:[^\n]*\n)?[^\n]*[\d@])[^\n]{5,150}(?:\n(?!>)[^\n]{0,80})??
    (?:wrote|schrieb[^\n:]{0,80}|a[ ]\u00e9crit)[ ]?:[ ]*$
    """,
    regex.VERBOSE | regex.MULTILINE,
)
_MARKED = regex.compile(r"\s*+>")
_QUOTED = regex.compile(r"^>[^\n]*$", regex.MULTILINE)
#: How the paragraph of a legal notice begins, and what it must say besides to be one.
_NOTICE = regex.compile(
    r"""
    ^[ \t*]*(?:
      (?:This|The[ ]information[ ](?:contained[ ])?in[ ]this)[ ]
        (?:e-?mail|message|transmission|communication)\b
      | (?:Confidentiality|Privileged|Legal)[ ](?:notice|note|disclaimer)
      | (?:If[ ]you[ ](?:have[ ]received|are[ ]not[ ]the[ ]intended))
      | Diese[ ](?:E-?Mail|Nachricht)[ ](?:enth\u00e4lt|ist|und)
    )
    (?:[^\n]|\n(?!\s*\n))*
    """,
    regex.VERBOSE | regex.MULTILINE | regex.IGNORECASE,
)
_LEGAL = regex.compile(
    r"""
    (?P<secret>confidential|privileged|vertraulich)
    | (?P<reader>intended[ ](?:solely|only|for|recipient)|addressee|bestimmte[nr]?[ ]Empf)
    | (?P<mistake>received[ ]this[^.]{0,60}\bin[ ]error|irrt\u00fcmlich|by[ ]mistake)
    | (?P<forbidden>(?:disclos|copying|distribut)[^.]{0,80}(?:prohibit|forbidden|not[ ]permitted))
    | (?P<delete>(?:delete|destroy)[ ](?:it|this|the|all|any)|vernichten)
    """,
    regex.VERBOSE | regex.IGNORECASE,
)
#: How many different things of `_LEGAL` make a paragraph a notice.
_MIN_LEGAL = 2


def own_words(text: str) -> str:
    """Blank out what a mail repeats; all of it is kept where nothing else would be left."""
    kept = _before(text, _REST.search(text))
    kept = _before(kept, _unquoted_announcement(kept))
    for pattern in (_ANNOUNCED, _QUOTED):
        kept = str(pattern.sub(_spaces, kept))
    kept = str(_NOTICE.sub(_spaces_if_legal, kept))
    kept = kept.rstrip()
    return kept if kept and kept != text.rstrip() else text


def text_read(task: Task, text: str) -> str:
    """What models with a head read of a text for a task; its places are the text's."""
    return own_words(text) if task.reads == "message" else text


def _unquoted_announcement(text: str) -> "regex.Match[str] | None":
    """An announcement whose quotation bears no marks: it goes on to the end of the text."""
    for found in _ANNOUNCED.finditer(text):
        if _MARKED.match(text, found.end()) is None:
            return found
    return None


def _spaces_if_legal(found: "regex.Match[str]") -> str:
    paragraph = str(found.group())
    return _spaces(found) if _is_legal(paragraph) else paragraph


def _is_legal(paragraph: str) -> bool:
    return len({found.lastgroup for found in _LEGAL.finditer(paragraph)}) >= _MIN_LEGAL


def _before(text: str, found: "regex.Match[str] | None") -> str:
    if found is None:
        return text
    return text[: int(found.start())]


def _spaces(found: "regex.Match[str]") -> str:
    return " " * len(found.group())
