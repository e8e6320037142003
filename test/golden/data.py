"""Writes the Parquet files that the dataset reader is tested with: python test/golden/data.py (needs pyarrow)."""

import datetime
import decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

out = Path(__file__).parent / "fixtures" / "data"
out.mkdir(parents=True, exist_ok=True)

rows = [
    {"question": f"{n} + {n} =", "answer": f"twice {n}\n#### {2 * n}", "result": 2 * n, "judge": "math" if n % 2 else None}
    for n in range(10)
]
schema = pa.schema([("question", pa.string()), ("answer", pa.string()), ("result", pa.int64()), ("judge", pa.string())])
table = pa.Table.from_pylist(rows, schema)
for codec in ["snappy", "gzip", "zstd", "none"]:
    # Three row groups, and a dictionary for the strings.
    pq.write_table(table, out / f"columns-{codec}.parquet", compression=codec, row_group_size=4)

message = pa.struct([("role", pa.string()), ("content", pa.string())])
chats = [
    {"messages": [{"role": "user", "content": f"say {n}"}, {"role": "assistant", "content": f"{n}!"}]} for n in range(3)
] + [{"messages": [{"role": "system", "content": "be brief"}, {"role": "user", "content": "é 東"}]}]
pq.write_table(pa.Table.from_pylist(chats, pa.schema([("messages", pa.list_(message))])), out / "messages.parquet")

# What is exact in Parquet and what is not: nulls that fill structs, numbers and their spelling, types without a text.
call = {"id": 7, "arguments": {"x": 1.0}}
exact = pa.Table.from_pylist(
    [
        {
            "messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": None, "tool_calls": [call]}],
            "tools": '[{"n": 1.0}]',
            "big": 9007199254740993,
            "whole": 2.0,
            "small": 1e-05,
            "large": 1e16,
            "price": decimal.Decimal("1.50"),
            "day": datetime.date(2026, 1, 2),
            "latin": b"caf\xe9",
            "missing": float("nan"),
        }
    ]
)
pq.write_table(exact, out / "exact.parquet")
