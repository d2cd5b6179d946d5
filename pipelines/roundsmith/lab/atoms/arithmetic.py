"""Arithmetic: ten steps on numbers and on sums of numbers."""

from roundsmith.lab.kinds import Kind

TOPIC = "arithmetic"
ATOMS = (
    (
        "double",
        Kind.INT,
        Kind.INT,
        ("double the number", "multiply the number by two", "take twice the number"),
        ("x = x * 2", "x = x + x"),
    ),
    (
        "square",
        Kind.INT,
        Kind.INT,
        (
            "square the number",
            "multiply the number by itself",
            "take the second power of the number",
        ),
        ("x = x * x", "x = x ** 2"),
    ),
    (
        "add_one",
        Kind.INT,
        Kind.INT,
        ("add one to the number", "increase the number by one", "go to the next number"),
        ("x = x + 1", "x += 1"),
    ),
    (
        "negate",
        Kind.INT,
        Kind.INT,
        ("negate the number", "flip the sign of the number", "take the opposite number"),
        ("x = -x", "x = 0 - x"),
    ),
    (
        "absolute",
        Kind.INT,
        Kind.INT,
        ("take the absolute value", "drop the sign of the number", "make the number non-negative"),
        ("x = abs(x)", "x = max(x, -x)"),
    ),
    (
        "halve",
        Kind.INT,
        Kind.INT,
        ("halve the number", "divide the number by two, rounding down", "take half of the number"),
        ("x = x // 2", "x //= 2"),
    ),
    (
        "add_ten",
        Kind.INT,
        Kind.INT,
        ("add ten to the number", "increase the number by ten", "raise the number by ten"),
        ("x = x + 10", "x += 10"),
    ),
    (
        "cap_five",
        Kind.INT,
        Kind.INT,
        (
            "cap the number at five",
            "limit the number to five",
            "replace anything above five by five",
        ),
        ("x = min(x, 5)", "x = 5 if x > 5 else x"),
    ),
    (
        "sum_list",
        Kind.INTS,
        Kind.INT,
        ("add up the numbers", "sum the list", "take the total of the numbers"),
        ("x = sum(x)",),
    ),
    (
        "mean",
        Kind.INTS,
        Kind.INT,
        ("average the numbers", "take the mean of the list", "find the rounded down average"),
        ("x = sum(x) // max(len(x), 1)", "x = sum(x) // (len(x) or 1)"),
    ),
)
