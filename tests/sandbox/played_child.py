"""A child that plays a script, started by exec with the descriptor of its answers: greets, reads
its questions, says what it is to say in pieces, and stays or ends. It needs nothing but the
standard library, so that it is there soon.
"""

import json
import os
import signal
import struct
import sys
import time
from typing import Any

HEADER, NONCE_BYTES = struct.Struct("!I"), 8


def main(control: int, asked: dict[str, Any]) -> None:
    """Ends when nobody listens any more; `stay` has it wait to be killed."""
    signal.alarm(60)
    try:
        time.sleep(asked["late_s"])
        greeting = bytes.fromhex(asked["greeting"])
        os.write(control, HEADER.pack(len(greeting)) + greeting)
        questions = [_read_question(control) for _ in range(asked["num_questions"])]
        _answer(control, questions, asked)
    except OSError:
        pass
    while asked["stay"]:
        signal.pause()


def _read_question(control: int) -> bytes:
    """Its nonce and its body."""
    (size,) = HEADER.unpack(_read(control, HEADER.size))
    return _read(control, size)[1:]


def _read(control: int, size: int) -> bytes:
    content = b""
    while len(content) < size:
        chunk = os.read(control, size - len(content))
        if not chunk:
            raise BrokenPipeError
        content += chunk
    return content


def _answer(control: int, questions: list[bytes], asked: dict[str, Any]) -> None:
    at, answers = 0, b""
    for letter, number, body in asked["said"]:
        if len(letter) > 1:
            _send(control, answers, asked["piece"])
            answers = b""
            (_burn if letter == "burn" else time.sleep)(number / 1000)
            continue
        nonce = questions[(at + number) % len(questions)][:NONCE_BYTES]
        content = questions[at][NONCE_BYTES:] if body == "echo" else bytes.fromhex(body)
        size = HEADER.pack(1 + len(nonce) + len(content))
        answers += size + letter.encode() + nonce + content
        at += 1
    _send(control, answers + bytes.fromhex(asked["rest"]), asked["piece"])


def _send(control: int, answers: bytes, piece: int) -> None:
    for at in range(0, len(answers), piece):
        os.write(control, answers[at : at + piece])


def _burn(seconds: float) -> None:
    until = time.process_time() + seconds
    while time.process_time() < until:
        pass


if __name__ == "__main__":
    main(int(sys.argv[1]), json.loads(sys.argv[2]))
