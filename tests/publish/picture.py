"""Makes docs/report.svg, the picture of a report in the README: `picture.py GUARD FILE`.

It runs `GUARD check` on the manifest of the example service in a pseudo-terminal, with the variables of picture.env,
and draws what such a terminal shows. Run `make picture` after a change of the report: tests/publish/picture.rs compares
the file with the program.
"""

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
import unicodedata
from html import escape
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
COMMAND = "startup-guard check"

# The number of columns of the terminal. With it, no line of this report is broken within a word.
COLUMNS = 113
# Sizes in pixels. The width of a column fits most monospace fonts, and `textLength` fits the text to it in all others.
COLUMN, ROW, MARGIN, BAR = 8.4, 20, 22, 36

# The escape sequences of the guard, and the classes that show them.
CLASSES = {"\x1b[0m": "", "\x1b[1m": "bold", "\x1b[31m": "error", "\x1b[33m": "warning"}

STYLE = """
text { font: 14px ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", "Liberation Mono", monospace }
text { fill: #c9d1d9; white-space: pre } .bold { fill: #f0f6fc; font-weight: 600 } .prompt { fill: #7ee787 }
.error { fill: #ff938a } .warning { fill: #e3b341 }
"""


def main(guard, file):
    variables = Path(__file__).with_suffix(".env").read_text(encoding="utf-8").splitlines()
    environment = dict(line.split("=", 1) for line in variables)
    arguments = [Path(guard).resolve(), "check", "--manifest", ROOT / "required-vars.yaml"]
    code, output = in_terminal(arguments, environment)
    if code != 78:
        sys.exit(f"{guard} ended with {code} instead of 78:\n{output}")
    command = [[("prompt", "$ "), ("bold", COMMAND)]]
    Path(file).write_text(picture(command + rows(output)), encoding="utf-8")


def in_terminal(arguments, environment):
    """Runs a program with a pseudo-terminal as standard output and standard error. Returns its code and its output."""
    reading, writing = pty.openpty()
    fcntl.ioctl(writing, termios.TIOCSWINSZ, struct.pack("HHHH", 24, COLUMNS, 0, 0))
    with subprocess.Popen(arguments, env=environment, stdin=subprocess.DEVNULL, stdout=writing, stderr=writing,
                          cwd=ROOT / "docs") as program:
        os.close(writing)
        output = b""
        try:
            while part := os.read(reading, 65536):
                output += part
        except OSError:
            pass  # Reading fails after the last writer has closed the terminal.
    os.close(reading)
    return program.returncode, output.decode().replace("\r\n", "\n")


def width(letter):
    """The number of columns that a terminal gives to a character."""
    if unicodedata.combining(letter) or letter == "\N{VARIATION SELECTOR-16}":
        return 0
    return 2 if unicodedata.east_asian_width(letter) in "WF" else 1


def rows(output):
    """The rows of the terminal. Each is a list of texts with their classes; a wide character is a text of its own."""
    found, row, used, shown = [], [], 0, ""
    for part in re.findall(r"\x1b\[[0-9]*m|.", output, re.DOTALL):
        if part.startswith("\x1b"):
            shown = CLASSES[part]
            continue
        columns = width(part)
        if part == "\n" or used + columns > COLUMNS:
            found.append(row)
            row, used = [], 0
        if part == "\n":
            continue
        used += columns
        is_same = row and row[-1][0] == shown and columns == 1 and all(width(other) == 1 for other in row[-1][1])
        if is_same or columns == 0:
            row[-1] = (row[-1][0], row[-1][1] + part)
        else:
            row.append((shown, part))
    return found


def picture(rows):
    height = BAR + len(rows) * ROW + MARGIN
    width_of_all = round(COLUMNS * COLUMN + 2 * MARGIN)
    text = "\n".join("".join(part for _, part in row) for row in rows)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width_of_all} {height}" width="{width_of_all}"'
        f' height="{height}" role="img" aria-labelledby="title desc" xml:space="preserve">',
        "<!-- Made by `make picture` from the output of the program. -->",
        f'<title id="title">{escape(COMMAND)} reports every mistake of an environment at once</title>',
        f'<desc id="desc">{escape(text)}</desc>',
        f"<style>{STYLE}</style>",
        f'<rect x="0.5" y="0.5" width="{width_of_all - 1}" height="{height - 1}" rx="10" fill="#161b22" stroke="#444c56"/>',
        *(f'<circle cx="{MARGIN + 4 + 20 * number}" cy="20" r="6" fill="{fill}"/>'
          for number, fill in enumerate(["#ff5f57", "#febc2e", "#28c840"])),
    ]
    for number, row in enumerate(rows, 1):
        spans, column = [], 0
        for shown, part in row:
            columns = sum(map(width, part))
            spans.append(span(shown, part, MARGIN + column * COLUMN, columns))
            column += columns
        lines.append(f'<text y="{BAR + number * ROW}">{"".join(spans)}</text>')
    return "\n".join([*lines, "</svg>", ""])


def span(shown, part, x, columns):
    attributes = f' class="{shown}"' if shown else ""
    # A wide character keeps the width that its font gives it, because what follows has a place of its own.
    if all(width(letter) == 1 for letter in part):
        attributes += f' textLength="{columns * COLUMN:.1f}"'
    return f'<tspan x="{x:.1f}"{attributes}>{escape(part, quote=False)}</tspan>'


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("Usage: picture.py GUARD FILE")
    main(*sys.argv[1:])
