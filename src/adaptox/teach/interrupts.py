"""Ctrl-C while calls are under way."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


def is_ours_to_take() -> bool:
    """Tell whether Ctrl-C would raise KeyboardInterrupt here: in the main thread, and nobody else has taken it.

    To be asked before an event loop runs, which takes it in its own way.
    """
    is_main = threading.current_thread() is threading.main_thread()
    return is_main and signal.getsignal(signal.SIGINT) is signal.default_int_handler


@contextmanager
def on_interrupt(act: Callable[[], None]) -> Iterator[None]:
    """Let Ctrl-C call `act` in the running event loop, where `is_ours_to_take`, instead of cancelling the loop."""
    loop = asyncio.get_running_loop()
    try:
        loop.add_signal_handler(signal.SIGINT, act)
    except NotImplementedError:  # on Windows
        yield
        return
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGINT)
