"""Searching: extremes, positions, counts, first matches. What finds nothing says 0, -1 or ''."""

from roundsmith.lab.kinds import Kind

TOPIC = "searching"
ATOMS = (
    (
        "largest",
        Kind.INTS,
        Kind.INT,
        ("find the largest number", "take the maximum", "pick the biggest of the numbers"),
        ("x = max(x, default=0)", "x = max(x) if x else 0"),
    ),
    (
        "smallest",
        Kind.INTS,
        Kind.INT,
        ("find the smallest number", "take the minimum", "pick the least of the numbers"),
        ("x = min(x, default=0)", "x = min(x) if x else 0"),
    ),
    (
        "first_even",
        Kind.INTS,
        Kind.INT,
        (
            "find the first even number",
            "take the earliest even value",
            "look for an even number from the front",
        ),
        ("x = next((v for v in x if v % 2 == 0), 0)",),
    ),
    (
        "index_of_largest",
        Kind.INTS,
        Kind.INT,
        (
            "find where the largest number is",
            "take the index of the maximum",
            "locate the biggest value",
        ),
        ("x = x.index(max(x)) if x else -1",),
    ),
    (
        "count_even",
        Kind.INTS,
        Kind.INT,
        ("count the even numbers", "say how many numbers are even", "find the number of evens"),
        ("x = sum(v % 2 == 0 for v in x)", "x = len([v for v in x if v % 2 == 0])"),
    ),
    (
        "longest_word",
        Kind.WORDS,
        Kind.STR,
        (
            "find the longest word",
            "take the word with most letters",
            "pick the longest of the words",
        ),
        ('x = max(x, key=len, default="")', 'x = max(x, key=len) if x else ""'),
    ),
    (
        "is_sorted",
        Kind.INTS,
        Kind.BOOL,
        (
            "check whether the list is sorted",
            "say if the numbers never fall",
            "test for ascending order",
        ),
        ("x = x == sorted(x)", "x = sorted(x) == x"),
    ),
    (
        "count_words_with_a",
        Kind.WORDS,
        Kind.INT,
        (
            "count the words with an a",
            "say how many words hold an a",
            "find the number of words with the letter a",
        ),
        ('x = sum("a" in w for w in x)', 'x = len([w for w in x if "a" in w])'),
    ),
    (
        "find_e",
        Kind.STR,
        Kind.INT,
        ("find where the first e is", "take the position of the letter e", "locate the letter e"),
        ('x = x.find("e")',),
    ),
    (
        "keep_long_words",
        Kind.WORDS,
        Kind.WORDS,
        ("keep the words longer than two letters", "drop the short words", "select the long words"),
        ("x = [w for w in x if len(w) > 2]",),
    ),
)
