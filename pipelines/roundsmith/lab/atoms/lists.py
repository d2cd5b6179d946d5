"""Lists of numbers: slices, filters and maps."""

from roundsmith.lab.kinds import Kind

TOPIC = "lists"
ATOMS = (
    (
        "reverse",
        Kind.INTS,
        Kind.INTS,
        ("reverse the list", "turn the list around", "put the numbers in reverse order"),
        ("x = x[::-1]", "x = list(reversed(x))"),
    ),
    (
        "drop_first",
        Kind.INTS,
        Kind.INTS,
        ("drop the first number", "remove the head of the list", "skip the first element"),
        ("x = x[1:]",),
    ),
    (
        "drop_last",
        Kind.INTS,
        Kind.INTS,
        ("drop the last number", "remove the end of the list", "leave out the last element"),
        ("x = x[:-1]",),
    ),
    (
        "first_two",
        Kind.INTS,
        Kind.INTS,
        (
            "take the first two numbers",
            "keep the leading two elements",
            "cut the list after two elements",
        ),
        ("x = x[:2]",),
    ),
    (
        "every_second",
        Kind.INTS,
        Kind.INTS,
        ("take every second number", "keep every other element", "skip each second element"),
        ("x = x[::2]",),
    ),
    (
        "keep_even",
        Kind.INTS,
        Kind.INTS,
        ("keep the even numbers", "drop the odd numbers", "select the even elements"),
        ("x = [v for v in x if v % 2 == 0]", "x = [v for v in x if not v % 2]"),
    ),
    (
        "keep_odd",
        Kind.INTS,
        Kind.INTS,
        ("keep the odd numbers", "drop the even numbers", "select the odd elements"),
        ("x = [v for v in x if v % 2 == 1]", "x = [v for v in x if v % 2]"),
    ),
    (
        "double_each",
        Kind.INTS,
        Kind.INTS,
        ("double each number", "multiply every element by two", "make all numbers twice as big"),
        ("x = [v * 2 for v in x]", "x = [v + v for v in x]"),
    ),
    (
        "add_one_each",
        Kind.INTS,
        Kind.INTS,
        ("add one to each number", "increase every element by one", "make all numbers one bigger"),
        ("x = [v + 1 for v in x]",),
    ),
    (
        "length",
        Kind.INTS,
        Kind.INT,
        ("count the numbers", "take the length of the list", "say how many elements there are"),
        ("x = len(x)", "x = sum(1 for v in x)"),
    ),
)
