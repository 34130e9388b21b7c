#!/usr/bin/env python3
"""A FIX 4.4 venue for tests, by hand: its own parser, session and book; nothing of QuickFIX.

It executes whatever it is asked, repeats included: a double must be visible in its book. Book, sent
messages and sequence numbers are files that survive a kill -9 at any instruction; a message counts
as received after what it caused has been written.

    acceptor.py --dir DIR [--port N] [--cert FILE --key FILE]

prints `ready PORT`. DIR/book has one JSON object a line: `order` as asked, `exec` as executed,
`end`. Orders of the test are given by DIR/control, a Unix socket, one JSON object a line:

    {"cmd": "next", "do": MODE, "count": N}   how the next N orders are treated, see on_order()
    {"cmd": "default", "do": MODE}            how all others are
    {"cmd": "fill", "id": CLORDID, "qty": Q}  executes (part of) a working order
    {"cmd": "drop"}                           closes the connection
    {"cmd": "numbers", "in": N, "out": N}     next expected and next sent MsgSeqNum
    {"cmd": "skip", "count": N}               leaves numbers out, as if messages were lost
    {"cmd": "ask", "from": A, "to": B}        sends a ResendRequest
    {"cmd": "resend", "do": "answer"|"ignore"}  what becomes of the other side's
    {"cmd": "status", "do": "answer"|"silent"|"unknown"|"mass"}  which status requests are answered
    {"cmd": "logon", "do": "take"|"refuse"|"silent"|"hangup"|"late"}  how logons are; late: taken, and what
                                              is missing is asked for at the next message;
                                              "text": what it says to one that it refuses
    {"cmd": "change", "do": "take"|"silent"|"ignore"}  how cancels and replaces are: done and told,
                                              done and not told, received and forgotten
    {"cmd": "quote", "symbol": S, "bid": B, "ask": A}
    {"cmd": "say", "kind": K, "fields": [[TAG, VALUE], ...]}  sends a message as it is
    {"cmd": "stats"}                          what it has seen, and whether somebody is logged on
"""
import argparse
import json
import os
import selectors
import socket
import ssl
import time

from acceptor_book import Book, Lines

SOH = "\x01"
APPLICATION = set("D F G H AF V 8 9 j W".split())


def stamp():
    now = time.time()
    return time.strftime("%Y%m%d-%H:%M:%S", time.gmtime(now)) + ".%03d" % (now % 1 * 1000)


def seal(fields):
    body = "".join(f"{tag}={value}{SOH}" for tag, value in fields)
    text = f"8=FIX.4.4{SOH}9={len(body)}{SOH}{body}"
    return text + f"10={sum(text.encode()) % 256:03d}{SOH}"


class Message:
    """Fields of one message in order; get() gives the first of a tag."""

    def __init__(self, text):
        self.fields = []
        for part in text.split(SOH)[:-1]:
            tag, _, value = part.partition("=")
            self.fields.append((int(tag), value))
        if seal(self.fields[2:-1]) != text:
            raise ValueError("BodyLength or CheckSum is wrong: " + text.replace(SOH, "|"))

    def get(self, tag, default=""):
        return next((value for t, value in self.fields if t == tag), default)

    def all(self, tag):
        return [value for t, value in self.fields if t == tag]


class Venue:
    def __init__(self, folder, selector):
        self.folder, self.selector = folder, selector
        self.book = Book(folder)
        self.sent = Lines(folder + "/sent")
        self.numbers_file = Lines(folder + "/numbers")
        self.numbers = self.numbers_file.rows[-1] if self.numbers_file.rows else {"in": 1, "out": 1}
        for row in self.sent.rows[-1:]:  # a death before its number was kept
            self.numbers["out"] = max(self.numbers["out"], row["n"] + 1)
        self.modes, self.default = [], "fill"
        self.status_mode, self.logon_mode, self.change_mode = "answer", "take", "take"
        self.resend_mode, self.refusal = "answer", "not today"
        self.quotes, self.wanted, self.worth = {}, {}, []
        self.stats = {"orders": 0, "repeats": 0, "logons": 0, "connects": 0, "gapfills": 0,
                      "asked": 0, "status": 0, "possdup": 0, "inquiries": 0}
        self.connection, self.buffer, self.on = None, "", False
        self.peer = ("", "")
        self.heartbeat, self.spoke = 30.0, 0.0

    # Session.

    def keep_numbers(self):
        self.numbers_file.add(dict(self.numbers))

    def send(self, kind, fields, number=None, extra=()):
        if number is None:
            number = self.numbers["out"]
            self.numbers["out"] = number + 1
            if kind in APPLICATION:
                self.sent.add({"n": number, "kind": kind, "fields": fields, "time": stamp()})
            self.keep_numbers()
        head = [(35, kind), (49, self.peer[1]), (56, self.peer[0]), (34, number), (52, stamp())]
        if self.connection is not None and (self.on or kind in "A5"):
            self.spoke = time.monotonic()
            try:
                self.connection.sendall(seal(head + list(extra) + list(fields)).encode())
            except OSError:
                self.drop()

    def drop(self):
        if self.connection is not None:
            self.selector.unregister(self.connection)
            self.connection.close()
        self.connection, self.buffer, self.on = None, "", False

    def accept(self, connection):
        self.drop()
        self.stats["connects"] += 1
        connection.settimeout(5)
        self.connection = connection
        self.selector.register(connection, selectors.EVENT_READ, self.on_readable)

    def on_readable(self):
        try:
            data = self.connection.recv(65536)
            while isinstance(self.connection, ssl.SSLSocket) and self.connection.pending():
                data += self.connection.recv(65536)
        except OSError:
            data = b""
        if not data:
            return self.drop()
        self.buffer += data.decode("latin-1")
        while self.connection is not None:
            at = self.buffer.find(SOH + "10=")
            end = self.buffer.find(SOH, at + 4) if at >= 0 else -1
            if end < 0:
                return None
            text, self.buffer = self.buffer[: end + 1], self.buffer[end + 1:]
            self.on_message(Message(text))
        return None

    def on_message(self, m):
        kind, number = m.get(35), int(m.get(34))
        repeat = m.get(43) == "Y"
        self.stats["possdup"] += repeat and kind != "4"
        if kind == "A":
            return self.on_logon(m, number)
        if not self.on:
            return self.drop()
        if kind == "4" and m.get(123) != "Y":
            self.numbers["in"] = int(m.get(36))
            return self.keep_numbers()
        if number > self.numbers["in"]:
            if kind == "2":
                self.on_resend(m)  # at once: both sides may be missing something
            self.send("2", [(7, self.numbers["in"]), (16, 0)])
            return None
        if number < self.numbers["in"]:
            return None if repeat else self.too_low(number)
        if kind in APPLICATION and kind == "D":
            if self.on_order(m) == "unread":
                return None
        else:
            handler = {"0": self.nothing, "1": self.on_test, "2": self.on_resend, "3": self.nothing,
                       "4": self.on_gap_fill, "5": self.on_logout, "F": self.on_cancel,
                       "G": self.on_replace, "H": self.on_status, "AF": self.on_mass_status,
                       "V": self.on_market_data, "BB": self.on_collateral}[kind]
            handler(m)
        if kind != "4":
            self.numbers["in"] = number + 1
        return self.keep_numbers()

    def too_low(self, number):
        self.send("5", [(58, f"MsgSeqNum too low, expecting {self.numbers['in']} "
                             f"but received {number}")])
        self.drop()

    def on_logon(self, m, number):
        self.stats["logons"] += 1
        self.peer = (m.get(49), m.get(56))
        self.heartbeat = float(m.get(108, "30"))
        reset = m.get(141) == "Y"
        if self.logon_mode == "silent":
            return None
        if self.logon_mode == "hangup":
            return self.drop()
        if self.logon_mode == "refuse":
            self.send("5", [(58, self.refusal)])
            return self.drop()
        if reset:
            self.numbers = {"in": 1, "out": 1}
            self.sent.clear()
        if number < self.numbers["in"]:
            return self.too_low(number)
        self.send("A", [(98, 0), (108, m.get(108))] + ([(141, "Y")] if reset else []))
        self.on = True
        self.wanted.clear()  # subscriptions end with their session
        if number > self.numbers["in"]:
            if self.logon_mode != "late":
                self.send("2", [(7, self.numbers["in"]), (16, 0)])
        else:
            self.numbers["in"] = number + 1
        return self.keep_numbers()

    def nothing(self, m):
        pass

    def on_test(self, m):
        self.send("0", [(112, m.get(112))])

    def on_logout(self, m):
        self.send("5", [])
        self.drop()

    def on_gap_fill(self, m):
        self.stats["gapfills"] += 1
        self.numbers["in"] = int(m.get(36))

    def on_resend(self, m):
        self.stats["asked"] += 1
        if self.resend_mode == "ignore":
            return
        begin, end = int(m.get(7)), int(m.get(16)) or self.numbers["out"] - 1
        after = begin
        for row in self.sent.rows:
            if begin <= row["n"] <= end:
                self.fill_gap(after, row["n"])
                self.send(row["kind"], row["fields"], row["n"], [(43, "Y"), (122, row["time"])])
                after = row["n"] + 1
        self.fill_gap(after, end + 1)

    def fill_gap(self, begin, end):
        if begin < end:
            self.send("4", [(123, "Y"), (36, end)], begin, [(43, "Y"), (122, stamp())])

    def beat(self):
        if self.on and time.monotonic() - self.spoke > self.heartbeat:
            self.send("0", [])

    # Orders.

    def report(self, order, exec_type, extra=(), name=None, exec_id=None, last=(0, 0)):
        average = order.cost / order.done if order.done > 0 else 0
        rest = order.quantity - order.done if order.is_working() else 0
        fields = [(37, f"O{order.number}"), (11, name or order.id),
                  (17, exec_id or f"S{self.numbers['out']}"), (150, exec_type), (39, order.state),
                  (55, order.symbol), (54, order.side), (38, f"{order.quantity:.2f}"),
                  (151, f"{rest:.2f}"), (14, f"{order.done:.2f}"), (6, f"{average:.5f}"),
                  (60, stamp())]
        if last[0]:
            fields += [(32, f"{last[0]:.2f}"), (31, f"{last[1]:.5f}")]
        self.send("8", fields + list(extra))

    def execute(self, order, quantity, tell=True):
        price = order.price or (self.quotes.get(order.symbol) or ("1.1", "1.1"))[order.side == "1"]
        exec_id = f"E{self.book.executions + 1}"
        self.book.add({"t": "exec", "id": order.id, "qty": quantity, "price": float(price),
                       "exec": exec_id, "side": order.side})
        if tell:
            self.report(order, "F", exec_id=exec_id, last=(quantity, float(price)))

    def on_order(self, m):
        """fill; work: accepted, executed by `fill` alone; quiet: the same, and not told; reject;
        partial: half, rest cancelled;
        silent: executed, no report; lost: executed, and the connection breaks before the report;
        ignore: received and forgotten; unread: the connection breaks before it is received."""
        mode = self.modes.pop(0) if self.modes else self.default
        if mode == "unread":
            self.drop()
            return mode
        self.stats["orders"] += 1
        self.stats["repeats"] += m.get(11) in self.book.orders
        waits = m.get(40) in "23" and m.get(59) == "1" and mode == "fill"
        if mode == "ignore":
            return mode
        price = float(m.get(44) or m.get(99) or 0)
        self.book.add({"t": "order", "id": m.get(11), "symbol": m.get(55), "side": m.get(54),
                       "qty": float(m.get(38)), "price": price, "n": len(self.book.file.rows) + 1,
                       "rests": waits or mode in ("work", "quiet")})
        order = self.book.orders[m.get(11)]
        if mode == "reject":
            self.book.add({"t": "end", "id": order.id, "state": "8"})
            self.report(order, "8", [(103, 3), (58, "too large")])
            return mode
        tell = mode not in ("silent", "lost", "quiet")
        if tell:
            self.report(order, "0")
        if mode == "partial":
            self.execute(order, order.quantity / 2)
            self.end(order, "4")
        elif mode not in ("work", "quiet") and not waits:
            self.execute(order, order.quantity, tell)
        if mode == "lost":
            self.numbers["in"] += 1  # it was received
            self.keep_numbers()
            self.drop()
            return "unread"
        return mode

    def end(self, order, state, name=None, extra=()):
        self.book.add({"t": "end", "id": order.id, "state": state})
        if name is None or self.change_mode == "take":
            self.report(order, state, extra, name)

    def working(self, m):
        order = self.book.orders.get(m.get(41))
        if order is not None and order.id == m.get(41) and order.is_working():
            return order
        self.send("9", [(37, "NONE"), (11, m.get(11)), (41, m.get(41)),
                        (39, order.state if order else "8"), (102, 0 if order else 1),
                        (434, 1 if m.get(35) == "F" else 2)])
        return None

    def on_cancel(self, m):
        order = self.working(m)
        if order is not None and self.change_mode != "ignore":
            self.end(order, "4", m.get(11), [(41, order.id)])

    def on_replace(self, m):
        order = self.working(m)
        if order is not None and self.change_mode != "ignore":
            old = order.id
            self.book.add({"t": "name", "id": old, "now": m.get(11),
                           "price": float(m.get(44) or m.get(99))})
            if self.change_mode == "take":
                self.report(order, "5", [(41, old)])

    def on_status(self, m):
        self.stats["status"] += 1
        order = self.book.orders.get(m.get(11))
        if order is not None and order.id != m.get(11):
            order = None  # replaced: by its new name alone
        if self.status_mode in ("silent", "mass"):
            return
        if order is None or self.status_mode == "unknown":
            self.send("8", [(37, "NONE"), (11, m.get(11)), (17, "0"), (150, "8"), (39, "8"),
                            (55, m.get(55)), (54, m.get(54)), (151, 0), (14, 0), (6, 0), (103, 5)])
            return
        self.report(order, "I", exec_id="0")

    def on_mass_status(self, m):
        if self.status_mode not in ("answer", "mass"):
            return
        working = [o for name, o in self.book.orders.items() if o.is_working() and name == o.id]
        for at, order in enumerate(working):
            self.report(order, "I", [(584, m.get(584)), (911, len(working)),
                                     (912, "Y" if at + 1 == len(working) else "N")], exec_id="0")

    def on_market_data(self, m):
        self.wanted[m.get(55)] = m.get(262)
        if m.get(55) in self.quotes:
            self.quote(m.get(55))

    def on_collateral(self, m):
        self.stats["inquiries"] += 1
        if self.worth:
            self.send("BA", [(908, f"R{self.stats['inquiries']}"), (909, m.get(909)), (910, 0)] +
                      ([(1, m.get(1))] if m.get(1) else []) + self.worth)

    def quote(self, symbol):
        bid, ask = self.quotes[symbol]
        if symbol in self.wanted:
            self.send("W", [(262, self.wanted[symbol]), (55, symbol), (268, 2), (269, 0),
                            (270, bid), (269, 1), (270, ask)])

    # Control.

    def control(self, c):
        cmd = c["cmd"]
        if cmd == "next":
            self.modes += [c["do"]] * c.get("count", 1)
        elif cmd == "default":
            self.default = c["do"]
        elif cmd == "fill":
            self.execute(self.book.orders[c["id"]], c["qty"])
        elif cmd == "drop":
            self.drop()
        elif cmd == "numbers":
            self.numbers.update({k: c[k] for k in ("in", "out") if k in c})
            self.keep_numbers()
        elif cmd == "skip":
            self.numbers["out"] += c["count"]
            self.keep_numbers()
        elif cmd == "ask":
            self.send("2", [(7, c["from"]), (16, c["to"])])
        elif cmd == "status":
            self.status_mode = c["do"]
        elif cmd == "resend":
            self.resend_mode = c["do"]
        elif cmd == "change":
            self.change_mode = c["do"]
        elif cmd == "logon":
            self.logon_mode, self.refusal = c["do"], c.get("text", self.refusal)
        elif cmd == "quote":
            self.quotes[c["symbol"]] = (c["bid"], c["ask"])
            self.quote(c["symbol"])
        elif cmd == "worth":
            self.worth = c["fields"]
        elif cmd == "say":
            self.send(c["kind"], c["fields"])
        elif cmd != "stats":
            raise ValueError(cmd)
        return {"on": self.on, **self.stats, **self.numbers}


def serve_control(path, selector, venue):
    if os.path.exists(path):
        os.unlink(path)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen(8)

    def on_line():
        connection, _ = listener.accept()
        with connection, connection.makefile("rw") as file:
            for line in file:
                file.write(json.dumps(venue.control(json.loads(line))) + "\n")
                file.flush()

    selector.register(listener, selectors.EVENT_READ, on_line)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--dir", required=True)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--cert")
    parser.add_argument("--key")
    args = parser.parse_args()
    selector = selectors.DefaultSelector()
    venue = Venue(args.dir, selector)
    listener = socket.create_server(("127.0.0.1", args.port))
    context = None
    if args.cert:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(args.cert, args.key)

    def on_connect():
        connection, _ = listener.accept()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if context is not None:
            connection.settimeout(5)
            try:
                connection = context.wrap_socket(connection, server_side=True)
            except OSError:
                return
        venue.accept(connection)

    selector.register(listener, selectors.EVENT_READ, on_connect)
    serve_control(args.dir + "/control", selector, venue)
    print(f"ready {listener.getsockname()[1]}", flush=True)
    while True:
        for key, _ in selector.select(0.2):
            if key.fileobj.fileno() >= 0:
                key.data()
        venue.beat()


main()
