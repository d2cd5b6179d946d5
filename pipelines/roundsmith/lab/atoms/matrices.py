"""Matrices: rows of numbers, and what is made of rows and columns."""

from roundsmith.lab.kinds import Kind

TOPIC = "matrices"
ATOMS = (
    (
        "transpose",
        Kind.ROWS,
        Kind.ROWS,
        ("transpose the matrix", "swap rows and columns", "turn columns into rows"),
        ("x = [list(r) for r in zip(*x)]",),
    ),
    (
        "row_sums",
        Kind.ROWS,
        Kind.INTS,
        ("add up each row", "take the row sums", "total every row"),
        ("x = [sum(r) for r in x]", "x = list(map(sum, x))"),
    ),
    (
        "flatten",
        Kind.ROWS,
        Kind.INTS,
        ("flatten the matrix", "put all rows into one list", "chain the rows"),
        ("x = [v for r in x for v in r]", "x = sum(x, [])"),
    ),
    (
        "first_row",
        Kind.ROWS,
        Kind.INTS,
        ("take the first row", "keep only the top row", "pick the leading row"),
        ("x = x[0] if x else []",),
    ),
    (
        "flip_rows",
        Kind.ROWS,
        Kind.ROWS,
        ("flip the matrix upside down", "reverse the order of the rows", "put the last row first"),
        ("x = x[::-1]",),
    ),
    (
        "mirror_rows",
        Kind.ROWS,
        Kind.ROWS,
        ("mirror each row", "reverse every row", "turn each row around"),
        ("x = [r[::-1] for r in x]",),
    ),
    (
        "row_maxima",
        Kind.ROWS,
        Kind.INTS,
        ("take the maximum of each row", "find the largest in every row", "list the row maxima"),
        ("x = [max(r, default=0) for r in x]",),
    ),
    (
        "first_column",
        Kind.ROWS,
        Kind.INTS,
        ("take the first column", "keep the start of each row", "pick the leading column"),
        ("x = [r[0] for r in x if r]",),
    ),
    (
        "double_entries",
        Kind.ROWS,
        Kind.ROWS,
        ("double the matrix", "multiply every entry by two", "scale the matrix by two"),
        ("x = [[v * 2 for v in r] for r in x]",),
    ),
    (
        "pairs",
        Kind.INTS,
        Kind.ROWS,
        ("cut the list into pairs", "group the numbers by two", "make rows of two numbers"),
        ("x = [x[i:i + 2] for i in range(0, len(x), 2)]",),
    ),
)
