"""What the demo shows: who does what, one line each, in colour where there is a terminal."""

import os
import shutil
import textwrap
import threading
from typing import TextIO

BOLD, DIM, RESET = "\033[1m", "\033[2m", "\033[0m"
GREEN, RED, YELLOW, CYAN, BLUE = (f"\033[{code}m" for code in (32, 31, 33, 36, 34))

COLOURS = {"control plane": CYAN, "agent": GREEN, "conductor": BLUE, "user": YELLOW}
WIDTH = max(map(len, COLOURS))
INDENT = " " * (WIDTH + 4)


class Screen:
    """Prints whole lines, from whichever thread.

    :param stream: a terminal gets lines that fit it, and colours unless ``NO_COLOR`` is set (https://no-color.org).
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._terminal = stream.isatty()
        self._colourful = self._terminal and not os.environ.get("NO_COLOR")
        self._lock = threading.Lock()

    def heading(self, text: str) -> None:
        """Begin a chapter."""
        self._print(f"\n{self._paint(BOLD, text)}")

    def note(self, text: str) -> None:
        """Say something beside the story."""
        self._print(self._paint(DIM, text))

    def says(self, actor: str, text: str) -> None:
        """One line of the story; the actor is one of :data:`COLOURS`."""
        self._print(f"  {self._paint(COLOURS[actor], actor.rjust(WIDTH))}  {self._fit(text)}")

    def good(self, text: str) -> None:
        """The end of a story that went well."""
        self._print(f"\n{self._paint(GREEN, text)}")

    def bad(self, text: str) -> None:
        """The end of one that did not."""
        self._print(f"\n{self._paint(RED, text)}")

    def _fit(self, text: str) -> str:
        if not self._terminal:
            return text
        columns = max(shutil.get_terminal_size().columns - len(INDENT), len(INDENT))
        return f"\n{INDENT}".join(textwrap.wrap(text, columns))

    def _paint(self, colour: str, text: str) -> str:
        return f"{colour}{text}{RESET}" if self._colourful else text

    def _print(self, line: str) -> None:
        with self._lock:
            self._stream.write(f"{line}\n")
            self._stream.flush()
