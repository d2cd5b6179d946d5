"""Number theory: parity, primes, divisors and decimal digits."""

from roundsmith.lab.kinds import Kind

TOPIC = "number theory"
ATOMS = (
    (
        "is_even",
        Kind.INT,
        Kind.BOOL,
        (
            "check whether the number is even",
            "test the number for evenness",
            "say if two divides the number",
        ),
        ("x = x % 2 == 0", "x = not x % 2"),
    ),
    (
        "is_prime",
        Kind.INT,
        Kind.BOOL,
        (
            "check whether the number is prime",
            "test the number for primality",
            "say if the number is a prime",
        ),
        ("x = x > 1 and all(x % d for d in range(2, x))",),
    ),
    (
        "divisors",
        Kind.INT,
        Kind.INTS,
        ("list the divisors", "collect all divisors of the number", "find what divides the number"),
        ("x = [d for d in range(1, x + 1) if x % d == 0]",),
    ),
    (
        "remainder_three",
        Kind.INT,
        Kind.INT,
        (
            "take the remainder by three",
            "reduce the number modulo three",
            "find what is left over by threes",
        ),
        ("x = x % 3", "x %= 3"),
    ),
    (
        "last_digit",
        Kind.INT,
        Kind.INT,
        ("take the last digit", "keep the ones digit", "find the final digit of the number"),
        ("x = abs(x) % 10", "x = int(str(x)[-1])"),
    ),
    (
        "digit_sum",
        Kind.INT,
        Kind.INT,
        ("add up the digits", "take the digit sum", "total the digits of the number"),
        ("x = sum(int(c) for c in str(abs(x)))",),
    ),
    (
        "digits",
        Kind.INT,
        Kind.INTS,
        ("list the digits", "split the number into digits", "break the number into its digits"),
        ("x = [int(c) for c in str(abs(x))]",),
    ),
    (
        "count_up",
        Kind.INT,
        Kind.INTS,
        (
            "count from one up to the number",
            "list the numbers from one to it",
            "make the range from one",
        ),
        ("x = list(range(1, x + 1))",),
    ),
    (
        "keep_primes",
        Kind.INTS,
        Kind.INTS,
        ("keep the primes", "drop what is not prime", "select the prime numbers"),
        ("x = [v for v in x if v > 1 and all(v % d for d in range(2, v))]",),
    ),
    (
        "keep_threes",
        Kind.INTS,
        Kind.INTS,
        (
            "keep the multiples of three",
            "select what three divides",
            "filter for numbers divisible by three",
        ),
        ("x = [v for v in x if v % 3 == 0]", "x = [v for v in x if not v % 3]"),
    ),
)
