"""Functions that the tests of the farm send to workers."""

import os
import signal
import time


def square(x):
    return x * x


def slow_square(x):
    time.sleep(0.02)
    return x * x


def hard(x):
    """Square of x, but item 1000 raises, 2000 loops and 2999 kills its worker."""
    if x == 1000:
        raise ValueError("no square of 1000")
    while x == 2000:
        pass
    if x == 2999:
        os.kill(os.getpid(), signal.SIGKILL)
    return x * x


def mended(x):
    return x * x


def loop(x):
    while x == 3:
        pass
    return x


def die(x):
    if x == 3:
        os._exit(7)
    return x


def lock(x):
    """A result that cannot be pickled."""
    import threading

    return threading.Lock() if x == 3 else x


def count(path):
    """Count the attempts of an item in a file; the third attempt works."""
    with open(path, "a+") as file:
        file.write("x")
        file.seek(0)
        attempts = len(file.read())
    if attempts < 3:
        raise OSError(f"attempt {attempts}")
    return attempts


def traced(folder, item):
    """Leave a file for each call, so that calls can be counted."""
    with open(os.path.join(folder, f"{item}.{os.getpid()}.{time.monotonic_ns()}"), "w"):
        pass
    time.sleep(0.005)
    return item


def draw(x, rng):
    return float(rng.standard_normal())


def add(x, y):
    return x + y


def double(x):
    return 2 * x


def halve(x):
    """Second stage of a pipeline; it fails while the file named by HALVE_BROKEN exists."""
    if os.path.exists(os.environ.get("HALVE_BROKEN", "")):
        raise RuntimeError("halve is broken")
    return x / 2


def note_and_double(x):
    with open(os.environ["NOTED"], "a") as file:
        file.write(f"{x}\n")
    return 2 * x


def environment(_):
    return sorted(os.environ)


def process(_):
    return os.getpid()


def nested(_):
    from dolmen import farm

    return [os.getpid(), *farm.map(process, range(2))]


def ignore_the_end(x):
    if x:
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        time.sleep(30)
    return x
