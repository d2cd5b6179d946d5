"""The Parquet columns of each row type, as Arrow schemas. `docs/formats.md` describes them column
by column.

A change here needs a higher version in `kinds`, and the old one stays readable or is refused by
name.
"""

import pyarrow as pa  # type: ignore[import-untyped]  # ships no types


def _required(fields: dict[str, pa.DataType], optional: dict[str, pa.DataType]) -> list[pa.Field]:
    return [pa.field(name, kind, name in optional) for name, kind in {**fields, **optional}.items()]


TEXT, INT, REAL, BOOL = pa.string(), pa.int64(), pa.float64(), pa.bool_()


def _list(kind: pa.DataType) -> pa.DataType:
    return pa.list_(pa.field("item", kind, nullable=False))


def _struct(fields: dict[str, pa.DataType], **optional: pa.DataType) -> pa.DataType:
    return pa.struct(_required(fields, optional))


def _schema(fields: dict[str, pa.DataType], **optional: pa.DataType) -> pa.Schema:
    return pa.schema(_required(fields, optional))


LIMITS = _struct(
    {},
    cpu_s=REAL,
    memory_bytes=INT,
    output_bytes=INT,
    file_bytes=INT,
    processes=INT,
    wall_factor=REAL,
)
TEST = _struct(
    {"test_id": TEXT},
    call=_struct(
        {"entry_point": TEXT, "args": TEXT, "kwargs": TEXT, "expected": TEXT},
        tolerance=REAL,
        relative_tolerance=REAL,
    ),
    source=TEXT,
    unittest=TEXT,
    stdio=_struct(
        {"stdin": TEXT, "stdout": TEXT, "rule": TEXT}, tolerance=REAL, relative_tolerance=REAL
    ),
    limits=LIMITS,
)
PROMPT = _struct(
    {},
    text=TEXT,
    tokens=_list(INT),
    messages=_list(_struct({"role": TEXT, "content": TEXT})),
)
SAMPLING = _struct(
    {"max_tokens": INT, "temperature": REAL, "top_p": REAL, "top_k": INT, "stop": _list(TEXT)},
)
PROVENANCE = _struct(
    {
        "task_id": TEXT,
        "recipe": TEXT,
        "round": INT,
        "weights_sha256": TEXT,
        "seed": INT,
        "parents": _list(TEXT),
        "tier": TEXT,
        "image": TEXT,
        "source": TEXT,
        "licence": TEXT,
    },
    sampling=SAMPLING,
)
SAMPLE = _struct(
    {
        "sample_id": TEXT,
        "kind": TEXT,
        "step": INT,
        "index": INT,
        "prompt": PROMPT,
        "completion": TEXT,
        "text": TEXT,
        "logprob_sum": REAL,
        "prompt_tokens": INT,
        "token_count": INT,
        "finish_reason": TEXT,
        "provenance": PROVENANCE,
    }
)
OUTCOME = _struct(
    {
        "code_id": TEXT,
        "test_id": TEXT,
        "verdict": TEXT,
        "judge": TEXT,
        "tier": TEXT,
        "image": TEXT,
        "near_limit": BOOL,
        "detail": TEXT,
        "phase": TEXT,
    }
)
SCORE = _struct(
    {
        "item_id": TEXT,
        "logprob_sum": REAL,
        "token_count": INT,
        "weights_sha256": TEXT,
        "prompt_tokens": INT,
    },
    p_yes=REAL,
)
_TASK = {
    "task_id": TEXT,
    "split": TEXT,
    "description": TEXT,
    "head": TEXT,
    "entry_point": TEXT,
    "tests": _list(TEST),
    "setup": TEXT,
    "source": TEXT,
    "licence": TEXT,
    "meta": pa.map_(TEXT, pa.field("value", TEXT, nullable=False)),
}

TASK_SCHEMA = _schema(_TASK, reference=TEXT, example=TEXT)
GROUP_SCHEMA = _schema(
    {
        "task": _struct(_TASK, reference=TEXT, example=TEXT),
        "samples": _list(SAMPLE),
        "outcomes": _list(OUTCOME),
        "scores": _list(SCORE),
    }
)
EXAMPLE_SCHEMA = _schema(
    {"example_id": TEXT, "prompt": PROMPT, "completion": TEXT, "provenance": PROVENANCE}
)
PAIR_SCHEMA = _schema(
    {"pair_id": TEXT, "prompt": PROMPT, "chosen": TEXT, "rejected": TEXT, "provenance": PROVENANCE}
)
EVAL_SCHEMA = _schema(
    {
        "task_id": TEXT,
        "split": TEXT,
        "sample_id": TEXT,
        "index": INT,
        "solved": BOOL,
        "strict": BOOL,
        "tests": _list(TEXT),
        "verdicts": _list(TEXT),
        "text": TEXT,
        "prompt_tokens": INT,
        "tokens": INT,
        "weights_sha256": TEXT,
        "tier": TEXT,
        "image": TEXT,
    },
    seed=INT,
)
RESULT_SCHEMA = _schema(
    {
        "task_id": TEXT,
        "split": TEXT,
        "of": TEXT,
        "temperature": REAL,
        "samples": INT,
        "solved": INT,
        "strict": INT,
    }
)
DROPPED_SCHEMA = _schema(
    {"row_id": TEXT, "task_id": TEXT, "why": TEXT, "held_out": TEXT, "evidence": TEXT}
)
