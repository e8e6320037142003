"""Types keys into a program in a terminal, and prints what it shows: argv is the program's; standard input has JSON, a list of
[keys, text that is waited for]. What is shown has no escape sequences."""

import json, os, pty, re, select, sys, time

child, terminal = pty.fork()
if child == 0:
    os.environ.update(TERM="xterm", COLUMNS="200", LINES="50")
    os.execvp(sys.argv[1], sys.argv[1:])

seconds = 60
escapes = re.compile(rb"\x1b\[[0-9;?]*[A-Za-z]|\x1b[=>]|\x07")


def shown(expected):
    seen, end = b"", time.time() + seconds
    while time.time() < end:
        ready, _, _ = select.select([terminal], [], [], 0.2)
        if ready:
            try:
                seen += os.read(terminal, 65536)
            except OSError:
                break
        if expected.encode() in escapes.sub(b"", seen):
            break
    return escapes.sub(b"", seen).decode(errors="replace")


answers = []
for keys, expected in json.load(sys.stdin):
    os.write(terminal, keys.encode())
    answers.append(shown(expected))
print(json.dumps(answers))
os.close(terminal)
