#!/usr/bin/env python3
"""Completion among many addresses: from each letter of a recipient to its echo, and to the addresses that stand below it.

    make bench            or: python3 tests/bench/addresses.py [ADDRESSES]

The last column is the slowest key of the same run that completes nothing: what the machine adds."""
import tap
from bench import Pty, arguments, ended, median, share
from keys import filled

COUNT, = arguments(100000)
# a name that one of sixteen has, one with a few hundred bearers, one alone, two words of which both are common, none
TYPED = ("alice", "winterqx", "judy.marsh.4242", "bob sample", "nobodyatall")


def offered(term, letter):
    """Seconds until what is offered stands there as it stays."""
    at, last = term.send(letter.encode()), None
    while (got := term.take(0.3)) is not None:
        last = got
    return last - at if last else None


def main():
    with tap.directory() as base:
        user = filled(base, COUNT, "addresses")
        term = Pty(user, "--offline")
        term.wait("of ", 30)
        term.settle(1)
        plain = [term.key(b"j") for _ in range(40) if term.settle(0.05) is None]
        print("%d addresses%28s %9s %9s %9s %9s" % (COUNT, "echo p50", "p99", "all p50", "p99", "j p99"))
        term.send(b"m")
        term.settle(0.5)
        for text in TYPED:
            echo, whole = [], []
            for _ in range(4):
                term.send(b"t")
                term.settle(0.3)
                for letter in text[:-1]:
                    echo.append(term.key(letter.encode()))
                    term.settle(0.05)
                whole.append(offered(term, text[-1]))
                term.send(b"\x1b")
                term.settle(0.6)
            print("%-38s %8.1f %9.1f %9.1f %9.1f %9.1f ms" % (text, *(1e3 * v for v in (
                median(echo), share(echo, 0.99), median(whole), share(whole, 1), share(plain, 0.99)))), flush=True)
        term.close()
        ended(user)


if __name__ == "__main__":
    main()
