"""Characters and encoding: letters as codes, codes as letters."""

from roundsmith.lab.kinds import Kind

TOPIC = "characters and encoding"
ATOMS = (
    (
        "count_vowels",
        Kind.STR,
        Kind.INT,
        ("count the vowels", "say how many vowels there are", "find the number of vowels"),
        ('x = sum(c in "aeiou" for c in x)',),
    ),
    (
        "letter_places",
        Kind.STR,
        Kind.INTS,
        (
            "turn letters into numbers",
            "take the alphabet place of each letter",
            "number the letters from a",
        ),
        ("x = [ord(c) - 96 for c in x]",),
    ),
    (
        "shift_letters",
        Kind.STR,
        Kind.STR,
        (
            "shift each letter by one",
            "replace every letter by the next one",
            "move the letters one ahead",
        ),
        ('x = "".join(chr(ord(c) + 1) for c in x)',),
    ),
    (
        "split_letters",
        Kind.STR,
        Kind.WORDS,
        ("split the text into letters", "list the letters", "break the text into its letters"),
        ("x = list(x)", "x = [c for c in x]"),
    ),
    (
        "a_to_o",
        Kind.STR,
        Kind.STR,
        ("replace a by o", "write o in place of a", "turn every a into an o"),
        ('x = x.replace("a", "o")',),
    ),
    (
        "distinct_letters",
        Kind.STR,
        Kind.INT,
        (
            "count the different letters",
            "say how many distinct letters there are",
            "find the size of its alphabet",
        ),
        ("x = len(set(x))",),
    ),
    (
        "is_palindrome",
        Kind.STR,
        Kind.BOOL,
        (
            "check for a palindrome",
            "say if the text reads the same backwards",
            "compare the text with its mirror",
        ),
        ("x = x == x[::-1]",),
    ),
    (
        "double_letters",
        Kind.STR,
        Kind.STR,
        ("double each letter", "write every letter twice", "stutter the letters"),
        ('x = "".join(c + c for c in x)', 'x = "".join(c * 2 for c in x)'),
    ),
    (
        "number_to_text",
        Kind.INT,
        Kind.STR,
        ("write the number as text", "turn the number into a string", "spell the number in digits"),
        ("x = str(x)",),
    ),
    (
        "numbers_to_letters",
        Kind.INTS,
        Kind.STR,
        (
            "turn numbers into letters",
            "write a letter for each number",
            "spell the numbers as letters",
        ),
        ('x = "".join(chr(97 + v % 26) for v in x)',),
    ),
)
