"""The files of acceptor.py: its book, and lines of JSON that survive a kill."""
import json
import os


class Lines:
    """A file of JSON objects, one a line; a torn last line is cut when it is opened."""

    def __init__(self, path):
        self.rows = []
        text = b""
        if os.path.exists(path):
            with open(path, "rb") as file:
                text = file.read()
            whole = text[: text.rfind(b"\n") + 1]
            self.rows = [json.loads(line) for line in whole.splitlines()]
            text = whole
        self.fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        os.ftruncate(self.fd, len(text))
        os.lseek(self.fd, 0, os.SEEK_END)

    def clear(self):
        self.rows.clear()
        os.ftruncate(self.fd, 0)
        os.lseek(self.fd, 0, os.SEEK_SET)

    def add(self, *rows):
        os.write(self.fd, b"".join(json.dumps(row).encode() + b"\n" for row in rows))
        self.rows.extend(rows)


class Order:
    def __init__(self, row):
        self.id, self.symbol, self.side = row["id"], row["symbol"], row["side"]
        self.quantity, self.price, self.number = row["qty"], row["price"], row["n"]
        self.done, self.cost, self.state, self.rests = 0.0, 0.0, "0", row["rests"]

    def execute(self, quantity, price):
        self.done += quantity
        self.cost += quantity * price
        self.state = "2" if self.done >= self.quantity - 1e-9 else "1"

    def is_working(self):
        return self.state in "01"


class Book:
    """Orders by the name the venue has them under now."""

    def __init__(self, folder):
        self.orders, self.executions = {}, 0
        rows = Lines(folder + "/book")
        self.file = rows
        for row in rows.rows:
            self.apply(row)
        # A death between an order and what was to follow at once: the rest is not to be had.
        for order in list(self.orders.values()):
            if order.is_working() and not order.rests:
                self.add({"t": "end", "id": order.id, "state": "4"})

    def apply(self, row):
        if row["t"] == "order":
            self.orders[row["id"]] = Order(row)
        elif row["t"] == "exec":
            self.orders[row["id"]].execute(row["qty"], row["price"])
            self.executions += 1
        elif row["t"] == "end":
            self.orders[row["id"]].state = row["state"]
        elif row["t"] == "name":
            order = self.orders[row["id"]]
            order.id, order.price = row["now"], row["price"]
            self.orders[row["now"]] = order

    def add(self, *rows):
        self.file.add(*rows)
        for row in rows:
            self.apply(row)
