"""Sorting: orders of numbers, words, letters and rows. Every sort is stable."""

from roundsmith.lab.kinds import Kind

TOPIC = "sorting"
ATOMS = (
    (
        "sort_up",
        Kind.INTS,
        Kind.INTS,
        (
            "sort the numbers",
            "put the numbers in ascending order",
            "order the list from low to high",
        ),
        ("x = sorted(x)",),
    ),
    (
        "sort_down",
        Kind.INTS,
        Kind.INTS,
        (
            "sort the numbers downwards",
            "put the numbers in descending order",
            "order the list from high to low",
        ),
        ("x = sorted(x, reverse=True)", "x = sorted(x)[::-1]"),
    ),
    (
        "sort_words",
        Kind.WORDS,
        Kind.WORDS,
        ("sort the words", "put the words in alphabetical order", "order the words from a to z"),
        ("x = sorted(x)",),
    ),
    (
        "sort_by_length",
        Kind.WORDS,
        Kind.WORDS,
        (
            "sort the words by length",
            "order the words from short to long",
            "put short words before long ones",
        ),
        ("x = sorted(x, key=len)",),
    ),
    (
        "sort_letters",
        Kind.STR,
        Kind.STR,
        ("sort the letters", "put the letters in order", "arrange the text from a to z"),
        ('x = "".join(sorted(x))',),
    ),
    (
        "sort_by_remainder",
        Kind.INTS,
        Kind.INTS,
        (
            "sort by the remainder by three",
            "order the numbers by value modulo three",
            "rank the list by threes",
        ),
        ("x = sorted(x, key=lambda v: v % 3)",),
    ),
    (
        "evens_first",
        Kind.INTS,
        Kind.INTS,
        (
            "put the even numbers first",
            "move the odd numbers behind the even ones",
            "bring evens to the front",
        ),
        ("x = sorted(x, key=lambda v: v % 2)",),
    ),
    (
        "sort_rows",
        Kind.ROWS,
        Kind.ROWS,
        ("sort each row", "put every row in ascending order", "order the inside of the rows"),
        ("x = [sorted(r) for r in x]",),
    ),
    (
        "rows_by_sum",
        Kind.ROWS,
        Kind.ROWS,
        ("sort the rows by sum", "order the rows by their total", "put rows with small sums first"),
        ("x = sorted(x, key=sum)",),
    ),
    (
        "two_smallest",
        Kind.INTS,
        Kind.INTS,
        ("take the two smallest numbers", "keep the lowest two", "pick the two least numbers"),
        ("x = sorted(x)[:2]",),
    ),
)
