"""Recurrences and bits: values built step by step, and binary digits."""

from roundsmith.lab.kinds import Kind

TOPIC = "recursion and bits"
ATOMS = (
    (
        "to_binary",
        Kind.INT,
        Kind.STR,
        ("write the number in binary", "turn the number into bits", "spell the binary digits"),
        ('x = f"{x:b}"', 'x = format(x, "b")'),
    ),
    (
        "count_ones",
        Kind.INT,
        Kind.INT,
        ("count the one bits", "say how many bits are set", "find the bit count"),
        ('x = bin(x).count("1")', "x = x.bit_count()"),
    ),
    (
        "flip_lowest_bit",
        Kind.INT,
        Kind.INT,
        ("flip the lowest bit", "invert the last bit", "toggle bit zero"),
        ("x = x ^ 1", "x ^= 1"),
    ),
    (
        "lowest_two_bits",
        Kind.INT,
        Kind.INT,
        ("keep the lowest two bits", "mask the number with three", "cut the number to two bits"),
        ("x = x & 3", "x &= 3"),
    ),
    (
        "running_sums",
        Kind.INTS,
        Kind.INTS,
        (
            "take the running sums",
            "accumulate the numbers",
            "replace each number by the sum so far",
        ),
        ("x = [sum(x[:i + 1]) for i in range(len(x))]",),
    ),
    (
        "differences",
        Kind.INTS,
        Kind.INTS,
        (
            "take the differences",
            "subtract each number from the next one",
            "list the steps between neighbours",
        ),
        ("x = [b - a for a, b in zip(x, x[1:])]",),
    ),
    (
        "fibonacci",
        Kind.INT,
        Kind.INT,
        (
            "take the fibonacci number",
            "find the fibonacci value at it",
            "run the fibonacci recurrence",
        ),
        ("a, b = 0, 1\nfor _ in range(x):\n    a, b = b, a + b\nx = a",),
    ),
    (
        "count_down",
        Kind.INT,
        Kind.INTS,
        ("count down to one", "list the numbers down to one", "make the falling range"),
        ("x = list(range(x, 0, -1))",),
    ),
    (
        "digital_root",
        Kind.INT,
        Kind.INT,
        (
            "take the digital root",
            "add up the digits until one is left",
            "reduce the number to one digit",
        ),
        ("while x > 9:\n    x = sum(int(c) for c in str(x))",),
    ),
    (
        "triangle",
        Kind.INT,
        Kind.INT,
        (
            "take the triangle number",
            "add up all numbers below and at it",
            "sum from one to the number",
        ),
        ("x = x * (x + 1) // 2",),
    ),
)
