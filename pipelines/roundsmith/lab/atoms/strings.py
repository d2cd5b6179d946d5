"""Strings: whole texts and lists of words."""

from roundsmith.lab.kinds import Kind

TOPIC = "strings"
ATOMS = (
    (
        "upper",
        Kind.STR,
        Kind.STR,
        (
            "make the text upper case",
            "turn the text into capitals",
            "write the text in big letters",
        ),
        ("x = x.upper()",),
    ),
    (
        "reverse_text",
        Kind.STR,
        Kind.STR,
        ("reverse the text", "turn the text around", "read the text backwards"),
        ("x = x[::-1]", 'x = "".join(reversed(x))'),
    ),
    (
        "text_length",
        Kind.STR,
        Kind.INT,
        ("count the letters", "take the length of the text", "say how many letters there are"),
        ("x = len(x)", "x = sum(1 for c in x)"),
    ),
    (
        "drop_vowels",
        Kind.STR,
        Kind.STR,
        ("drop the vowels", "remove all vowels from the text", "keep the consonants"),
        ('x = "".join(c for c in x if c not in "aeiou")',),
    ),
    (
        "repeat_text",
        Kind.STR,
        Kind.STR,
        ("repeat the text", "write the text twice", "put the text behind itself"),
        ("x = x + x", "x = x * 2"),
    ),
    (
        "drop_first_letter",
        Kind.STR,
        Kind.STR,
        ("drop the first letter", "remove the start of the text", "skip the leading letter"),
        ("x = x[1:]",),
    ),
    (
        "join_words",
        Kind.WORDS,
        Kind.STR,
        ("join the words", "glue the words together", "make one text of the words"),
        ('x = "".join(x)',),
    ),
    (
        "word_lengths",
        Kind.WORDS,
        Kind.INTS,
        ("take the length of each word", "measure the words", "count the letters of every word"),
        ("x = [len(w) for w in x]", "x = list(map(len, x))"),
    ),
    (
        "upper_words",
        Kind.WORDS,
        Kind.WORDS,
        (
            "make every word upper case",
            "turn the words into capitals",
            "write each word in big letters",
        ),
        ("x = [w.upper() for w in x]",),
    ),
    (
        "initials",
        Kind.WORDS,
        Kind.STR,
        (
            "join the first letters of the words",
            "take the initials",
            "spell the text of first letters",
        ),
        ('x = "".join(w[:1] for w in x)',),
    ),
)
