"""Writes the Parquet files that the dataset reader is tested with: python test/golden/data.py (needs pyarrow)."""

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
