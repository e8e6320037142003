"""What test/e2e/clients.test.ts runs by the built wheel: access.py ADDRESS CA_FILE OTHER_CA_FILE"""

import json
import sys
from pathlib import Path

from retort import Retort, RetortError, Tls

address, ca, other = sys.argv[1:]
tls = Tls(ca=Path(ca).read_bytes())


def seen(where: str = address, *, tls: Tls | None = None, token: str | None = None) -> str:
    try:
        with Retort(where, tls=tls, token=token) as retort:
            return f"{len(list(retort.list()))} runs"
    except RetortError as error:
        return error.code.name


print(
    json.dumps(
        {
            "right": seen(tls=tls, token="secret"),
            "wrongToken": seen(tls=tls, token="guess"),
            "noToken": seen(tls=tls),
            "otherAuthority": seen(tls=Tls(ca=Path(other).read_bytes()), token="secret"),
            "plaintext": seen(token="secret"),
            "nobody": seen("127.0.0.1:1"),
        }
    )
)
