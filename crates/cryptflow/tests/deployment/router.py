#!/usr/bin/env python3
"""A network between network namespaces: passes IP packets on between tunnel devices, and delays, drops and holds them as it is told.

    router.py NAME=ADDRESS…

makes a device NAME for each in the namespace that it runs in, from where each is moved to the one that it is for. Then it takes changes on its
standard input, a line each, and answers each with a line, until the input ends:

    cut NAME            nothing reaches it any more, or comes from it; nobody is told
    mend NAME           what `cut` did is over
    delay SECONDS       of every packet
    loss SHARE          of all packets, by chance
    rate NAME BYTES     that it can send in a second; 0: as many as it likes
    hold NAME PACKETS   once so many more packets went to it or came from it, all packets wait
    held                whether they do: "yes" or "no"
    release             packets that wait go on
    seen NAME           how many packets went to it or came from it
"""

import fcntl
import heapq
import os
import random
import select
import struct
import sys
import time

SET_DEVICE, TUNNEL, BARE = 0x400454CA, 0x0001, 0x1000
# What waits for a slow line, in seconds of it; packets beyond that are lost.
QUEUE = 0.5


def device(name: str) -> int:
    tunnel = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(tunnel, SET_DEVICE, struct.pack("16sH22x", name.encode(), TUNNEL | BARE))
    return tunnel


class Network:
    def __init__(self, places: dict[str, str]) -> None:
        self.tunnels = {name: device(name) for name in places}
        self.names = {tunnel: name for name, tunnel in self.tunnels.items()}
        self.at = {bytes(map(int, address.split("."))): name for name, address in places.items()}
        self.cut: set[str] = set()
        self.delay = self.loss = 0.0
        self.rates: dict[str, float] = {}
        self.free: dict[str, float] = {}
        self.seen = dict.fromkeys(places, 0)
        self.holds: tuple[str, int] | None = None
        self.held: list[tuple[str, str, bytes]] | None = None
        self.waiting: list[tuple[float, int, str, bytes]] = []
        self.number = 0
        self.chance = random.Random(1)

    def command(self, line: str) -> str:
        match line.split():
            case ["cut", name]:
                self.cut.add(name)
            case ["mend", name]:
                self.cut.discard(name)
            case ["delay", seconds]:
                self.delay = float(seconds)
            case ["loss", share]:
                self.loss = float(share)
            case ["rate", name, number]:
                self.rates[name] = float(number)
            case ["hold", name, packets]:
                self.holds = (name, self.seen[name] + int(packets))
            case ["held"]:
                return "no" if self.held is None else "yes"
            case ["release"]:
                held, self.held, self.holds = self.held or [], None, None
                for packet in held:
                    self.send(*packet)
            case ["seen", name]:
                return str(self.seen[name])
            case _:
                sys.exit(f"router: what is {line!r}?")
        return "done"

    def take(self, source: str, packet: bytes) -> None:
        """Takes a packet from a device."""
        # Devices say this and that of their own in IPv6.
        if packet[0] >> 4 != 4 or (to := self.at.get(packet[16:20])) is None:
            return
        self.seen[source] += 1
        self.seen[to] += 1
        if self.held is None and self.holds is not None and self.seen[self.holds[0]] >= self.holds[1]:
            self.held = []
        if self.held is not None:
            self.held.append((source, to, packet))
        else:
            self.send(source, to, packet)

    def send(self, source: str, to: str, packet: bytes) -> None:
        if source in self.cut or to in self.cut or self.chance.random() < self.loss:
            return
        now = due = time.monotonic()
        if rate := self.rates.get(source):
            due = max(now, self.free.get(source, 0))
            if due - now > QUEUE:
                return
            due += len(packet) / rate
            self.free[source] = due
        self.number += 1
        heapq.heappush(self.waiting, (due + self.delay, self.number, to, packet))

    def deliver(self) -> float | None:
        """Delivers what is due; the milliseconds until the next."""
        while self.waiting:
            left = self.waiting[0][0] - time.monotonic()
            if left > 0:
                return left * 1000
            _, _, to, packet = heapq.heappop(self.waiting)
            try:
                os.write(self.tunnels[to], packet)
            except OSError:
                # It is gone, or its queue is full: networks lose packets.
                pass
        return None


def main() -> None:
    network = Network(dict(place.split("=") for place in sys.argv[1:]))
    print("ready", flush=True)
    poll = select.poll()
    for tunnel in (0, *network.names):
        poll.register(tunnel, select.POLLIN)
    rest = b""
    while True:
        for ready, _ in poll.poll(network.deliver()):
            if ready == 0:
                more = os.read(0, 4096)
                if not more:
                    return
                *lines, rest = (rest + more).split(b"\n")
                for line in lines:
                    print(network.command(line.decode()), flush=True)
                continue
            try:
                while True:
                    network.take(network.names[ready], os.read(ready, 65536))
            except BlockingIOError:
                pass
            except OSError:
                # A device that was moved is down until its new place takes it up.
                time.sleep(0.01)


main()
