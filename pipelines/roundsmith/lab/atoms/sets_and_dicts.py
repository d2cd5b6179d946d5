"""Sets and dictionaries: distinct values, counts, keys and values."""

from roundsmith.lab.kinds import Kind

TOPIC = "sets and dicts"
ATOMS = (
    (
        "unique",
        Kind.INTS,
        Kind.INTS,
        (
            "drop repeated numbers",
            "keep each number once",
            "remove the duplicates from the numbers",
        ),
        ("x = list(dict.fromkeys(x))",),
    ),
    (
        "unique_words",
        Kind.WORDS,
        Kind.WORDS,
        ("drop repeated words", "keep each word once", "remove the duplicates from the words"),
        ("x = list(dict.fromkeys(x))",),
    ),
    (
        "count_distinct",
        Kind.INTS,
        Kind.INT,
        (
            "count the different numbers",
            "say how many distinct numbers there are",
            "find the size of the set",
        ),
        ("x = len(set(x))",),
    ),
    (
        "letter_counts",
        Kind.STR,
        Kind.COUNTS,
        ("count each letter", "map each letter to how often it comes", "tally the letters"),
        ("x = {c: x.count(c) for c in x}",),
    ),
    (
        "length_by_word",
        Kind.WORDS,
        Kind.COUNTS,
        (
            "map each word to its length",
            "store the length of each word by word",
            "tabulate the word lengths",
        ),
        ("x = {w: len(w) for w in x}",),
    ),
    (
        "keys",
        Kind.COUNTS,
        Kind.WORDS,
        ("list the keys", "take the keys of the dict", "collect the names of the entries"),
        ("x = list(x)", "x = list(x.keys())"),
    ),
    (
        "values",
        Kind.COUNTS,
        Kind.INTS,
        ("list the values", "take the values of the dict", "collect the numbers of the entries"),
        ("x = list(x.values())",),
    ),
    (
        "keep_above_one",
        Kind.COUNTS,
        Kind.COUNTS,
        (
            "keep the entries above one",
            "drop entries of one or less",
            "select the entries with larger values",
        ),
        ("x = {k: v for k, v in x.items() if v > 1}",),
    ),
    (
        "double_values",
        Kind.COUNTS,
        Kind.COUNTS,
        (
            "double the values",
            "multiply every value of the dict by two",
            "make all entries twice as big",
        ),
        ("x = {k: v * 2 for k, v in x.items()}",),
    ),
    (
        "top_key",
        Kind.COUNTS,
        Kind.STR,
        ("find the key with the largest value", "take the top entry", "pick the most common key"),
        ('x = max(x, key=x.get, default="")', 'x = max(x, key=x.get) if x else ""'),
    ),
)
