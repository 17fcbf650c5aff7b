"""Recheck certificates with Python's standard library alone: `python -S -E check.py FILE...`

What an accepted file proves: for EVERY vector of the domain, all outputs of the network whose weights are in the
file are within the claimed error of the target, when it runs in floating point with sums in any order, with or
without fused multiply-adds, results rounded correctly, or flushed to zero below the normal numbers. It is proved
anew, from the stored weights: the certificate, and what the file tells of how the network was built, are only
searched for what doesn't fit. No code is shared with the library. Robustness beside the domain isn't rechecked.

Rounding: if all terms of a sum are multiples of a power of two, no less than the least normal number, and add up to
at most `2^digits` of it in modulus, all partial sums are floats, in any order: nothing rounds. Else, of `n` terms,
each meets at most `k` factors `1 + d`, `|d| <= u`: one of its product, unless its weight is a power of two, and
`n - 2` of sums before the last one, which is off by `u` of its result. `k` factors change a term by at most
`k u / (1 - k u)`; `2 n` results may be flushed. Errors of the units below pass with the moduli of their weights.
Sigmoids are enclosed by rational numbers, and computed within 3 units in the last place, as claims suppose.

Networks go module by module: units that read the same units are one module. No unit is read by two modules, so
these have disjoint inputs and hold independent values. Of every kind of module all pairs of (values, label) are
listed in exact numbers, with bounds of how far floats are off; the label is what the target needs of the module's
inputs: parity, product, or each of them. Pairs come from all combinations of pairs of what is read. Equal ones are one,
and so are near ones that aren't exact, with larger bounds: trees are quick, and one module of all units is a run of
all inputs. At the end values are compared with the target of their label. Coordinates of a box are one value each, a
polynomial; so are sums and powers of them, and targets. A polynomial is at most the sum of its coefficients' moduli.
"""

# pyright: reportArgumentType=false, reportCallIssue=false, reportAttributeAccessIssue=false, reportOperatorIssue=false
# pyright: reportAssignmentType=false, reportPossiblyUnboundVariable=false
# pyright: reportOptionalMemberAccess=false, reportOptionalSubscript=false, reportGeneralTypeIssues=false
import functools
import hashlib
import io
import itertools
import json
import math
import operator
import re
import struct
import sys
import zipfile
from collections import namedtuple
from fractions import Fraction

# Bytes of a file and of its description, units of a layer, steps of this program.
LARGEST, LONGEST, MOST, STEPS = 2**27, 2**22, 2**21, 2**26
BUDGET = [STEPS]  # the steps that are left
# Every class that a file may hold, with exactly these fields; methods that are known, with the class of their evidence.
CLASSES = """Construction: network claim origin; Network: layers; Repeat: layers times; Layer: linear bias activation
label; Label: name group strided uneven listed; Claim: target domain codomain error robustness dtype source status;
Bound: absolute relative; Robustness: radius gain rounding; linear.Dense: weight shape; linear.Identity: size;
linear.Sparse: values rows cols shape; linear.BlockDiagonal: blocks shape; linear.Kronecker: matrix shape;
linear.Composed: outer inner; linear.DirectSum: parts; linear.Stack: parts; linear.Permutation: indices;
linear.SignPatterns: scales n fixed; linear.SignProduct: weight n; bias.TiledBias: values shape; bias.JoinedBias:
parts sizes; activations.Identity:; activations.ReLU:; activations.Step:; activations.Square:; activations.Power: n;
activations.Sigmoid: inverse_temperature; activations.Concatenate: activations widths; domains.Bits: n;
domains.Signs: n; domains.Box: n low high; domains.Product: domains; targets.Parity: n encoding; targets.BitsToSigns:
n; targets.SignsToBits: n; targets.Product: n; targets.Polynomial: variables outputs; targets.BooleanFunction: table;
targets.Composed: outer inner; targets.Iterated: target times; targets.Parallel: targets sizes; targets.FanOut:
targets; origins.Stated:; origins.Built: builder arguments plan; origins.Rewritten: rule of; origins.Series: parts
merge; origins.Parallel: parts; origins.FanOut: parts; origins.Repeated: part times merge; plans.Tree: levels;
plans.Blocks: levels; plans.Sum: terms constant; plans.Circuit: inputs levels outputs; plans.GatePlan: n kind bias
scale mix; evidence.Expanded: terms difference rounding; evidence.Pointwise: digits real rounding; evidence.Modules:
levels kinds grid; evidence.GateRecord: count inputs units states; evidence.Composed: rule parts; Certificate:
verdict method name domain covers found claimed evidence trusts inputs dtype backend digest claim_digest seconds
counterexample"""
CLASSES = {name.strip(): set(text.split()) for name, text in (entry.split(":") for entry in CLASSES.split(";"))}
METHODS = {"modules": "Modules", "exhaustive": "Pointwise", "identity": "Expanded", "composition": "Composed"}
METHODS = {name: f"evidence.{kind}" for name, kind in METHODS.items()}
# Binary digits of floats, exponents of the least normal one and of what is too large; how arrays hold numbers.
FORMATS = {"float16": (11, -14, 16, "<f2"), "float32": (24, -126, 128, "<f4"), "float64": (53, -1022, 1024, "<f8")}
CODES = {"<f2": "e", "<f4": "f", "<f8": "d", "<i4": "i", "<i8": "q", "|b1": "?"}
Record = namedtuple("Record", "name fields")
Array = namedtuple("Array", "kind code shape raw")
# An output of a target: a function of inputs, which are given by their numbers, and of other nodes.
Node = namedtuple("Node", "of arguments")
# Pairs of (values and errors of all units, label), and largest modulus, step and error of each unit.
Module = namedtuple("Module", "pairs facts")
PLAIN = ("Power", 1)  # the identity


class Map(namedtuple("Map", "rows width inner", defaults=[1])):
    """The map y[a, q] = sum of w x[b, q] over all (b, w) of rows[a], with b < width, q < inner."""

    inputs = property(lambda self: self.width * self.inner)
    outputs = property(lambda self: len(self.rows) * self.inner)

    def units(self):
        """The row of every output."""
        spend(self.inner * (1 + sum(map(len, self.rows))))
        return [[(b * self.inner + q, w) for b, w in row] for row in self.rows for q in range(self.inner)]


class Refused(Exception):
    """What is wrong with a file."""


def need(good, reason):
    if not good:
        raise Refused(reason)


def integer(value, low=1, high=MOST):
    need(type(value) is int and low <= value <= high, f"{value!r:.50} should be an integer from {low} to {high}")
    return value


def number(value, low=-math.inf):
    """A finite number, as an integer where it is one, else as a fraction."""
    need(type(value) in (int, float) and low <= value < math.inf, f"{value!r:.50} should be a number from {low}")
    return int(value) if value == int(value) else Fraction(value)


def lowest(*values):
    """The largest power of two of which numbers are multiples."""
    return min((Fraction(v.numerator & -v.numerator, v.denominator) for v in values if v), default=Fraction(1))


def up(error):
    """Rounded up, so that fractions stay short."""
    return Fraction(math.ceil(error * 2**1200), 2**1200)


def short(value):
    need(value.numerator.bit_length() + value.denominator.bit_length() < 2**14, "numbers get too long")
    return value


def spend(steps):
    BUDGET[0] -= steps
    need(BUDGET[0] > 0, "rechecking it takes too long")


class Polynomial(dict):
    """Coefficients of products of variables between -1 and 1, each a sorted tuple; no two are taken as equal."""

    __hash__, __eq__ = object.__hash__, object.__eq__
    numerator, denominator = 0, 1  # multiples of nothing that is known

    def __add__(self, other):
        other = other if isinstance(other, Polynomial) else {(): other}
        spend(10 * (len(self) + len(other)))
        total = {key: self.get(key, 0) + other.get(key, 0) for key in {**self, **other}}
        return Polynomial({key: c for key, c in total.items() if c})

    def __mul__(self, other):
        other, total = other if isinstance(other, Polynomial) else {(): other}, Polynomial()
        spend(40 * len(self) * len(other))
        for (a, c), (b, d) in itertools.product(self.items(), other.items()):
            need(len(a) + len(b) < 2**10, "a degree is too large")
            key = tuple(sorted(a + b)) if a and b else a or b
            total[key] = total.get(key, 0) + c * d
        return Polynomial({key: short(c) for key, c in total.items() if c})

    def __pow__(self, n):
        return functools.reduce(operator.mul, [self] * n)

    def __abs__(self):
        return sum(map(abs, self.values()))

    __radd__, __rmul__ = __add__, __mul__


class File:
    """An archive of tree.json, certificate.json and arrays: exactly the bytes that `zipfile` writes for them."""

    def __init__(self, data):
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            need(sum(info.file_size for info in archive.infolist()) < len(data) <= LARGEST, "it is too large")
            self.members = {info.filename: archive.read(info) for info in archive.infolist()}
            system, again = archive.infolist()[0].create_system, io.BytesIO()
        with zipfile.ZipFile(again, "w") as archive:
            for name, content in self.members.items():
                entry = zipfile.ZipInfo(name)
                entry.external_attr, entry.create_system = 0o644 << 16, system
                archive.writestr(entry, content)
        need(again.getvalue() == data, "it has members or bytes that don't belong to it, or are compressed")
        names, self.used = [name for name in self.members if re.fullmatch(r"[0-9]{1,6}\.npy", name)], set()
        self.arrays = {name: self.array(self.members[name]) for name in names}
        header, about = self.parsed("tree.json"), self.parsed("certificate.json")
        self.whole, self.certificate, parts = header.pop("tree"), about.pop("certificate"), header.pop("parts")
        need(len(self.members) == 2 + len(names) == 2 + len(self.used), "it has members that nothing refers to")
        need(type(parts) is list and all(part.name == "Construction" for part in parts), "its parts are odd")
        known = {"format": "deepconstruct", "version": 2}, {"format": "deepconstruct certificate", "version": 1}
        need(repr((header, about)) == repr(known), "it is of another format, or its certificate is")

    def array(self, content):
        pattern = rb"\x93NUMPY\x01\x00(..)\{'descr': '(...)', 'fortran_order': False, 'shape': \(([0-9, ]*)\), \} *\n"
        head = re.match(pattern, content[:1024], re.DOTALL)
        need(head and head.end() == 10 + int.from_bytes(head[1], "little"), "an array has an unknown header")
        code, shape, raw = head[2].decode(), tuple(map(int, re.findall(b"[0-9]+", head[3]))), content[head.end() :]
        need(code in CODES and math.prod(shape) * int(code[2]) == len(raw), "an array has another size than it says")
        return Array(None, code, shape, raw)

    def parsed(self, name):
        """The value of JSON whose records are tagged."""

        def node(pairs):
            keys, (value, *_) = list(pairs), [*pairs.values(), None]
            if keys in (["array"], ["static"]):
                self.used.add(value)
                return self.arrays[value]._replace(kind=keys[0])
            if keys == ["tuple"] and type(value) is list and not {list, dict} & set(map(type, value)):
                return tuple(value)
            if keys == ["class", "fields"]:
                inside, odd = pairs["fields"], f"the class {value!r:.50} isn't known, or not with these fields"
                need(CLASSES.get(value) in (set(inside), {*inside, "listed"}), odd)  # the one that is left out if empty
                need(not {list, dict} & set(map(type, inside.values())), "it holds values without a tag")
                return Record(value, inside)
            if keys == ["part"]:
                return Record("Part", integer(value, 0))
            return {"inf": math.inf}[value] if keys == ["float"] else pairs

        text = self.members[name].decode()
        need(len(text) <= LONGEST, "its description is too long")
        need(json.dumps(json.loads(text), allow_nan=False) == text, f"{name} isn't as it is written")
        return json.loads(text, object_hook=node)

    def digest(self, field):
        """The digest of the network or claim: of its tree, arrays in order of appearance, and of their contents."""
        pattern = re.compile(r'(?<="array":")[0-9]+\.npy|(?<="static":")[0-9]+\.npy')
        tree, style = json.loads(self.members["tree.json"])["tree"]["fields"][field], {"separators": (",", ":")}
        names = list(dict.fromkeys(pattern.findall(json.dumps(tree, **style))))
        text = pattern.sub(lambda name: f"{names.index(name[0])}.npy", json.dumps(tree, sort_keys=True, **style))
        found = hashlib.blake2b(text.encode(), digest_size=32)
        for array in map(self.arrays.get, names):
            found.update(f"{array.code}{array.shape}".encode() + array.raw)
        return found.hexdigest()


def coordinates(name, fields):
    """A domain as text, and of every coordinate the least and largest value, and whether it has just these."""
    if name == "domains.Product":
        parts = [coordinates(*part) for part in fields["domains"]]
        return " x ".join(text for text, _ in parts), [place for _, places in parts for place in places]
    n = integer(fields["n"])
    spend(8 * n)
    if name != "domains.Box":
        return f"{name[8:]}(n={n})", [({"domains.Bits": 0, "domains.Signs": -1}[name], 1, True)] * n
    low, high = number(fields["low"]), number(fields["high"])
    need(low <= high, "a box has its ends exchanged")
    return f"Box(n={n}, low={fields['low']!r}, high={fields['high']!r})", [(low, high, False)] * n


def parity(bits):
    need(all(bit in (0, 1) for bit in bits), "this target isn't known on this domain")
    return functools.reduce(operator.xor, bits)


class Goal:
    """A target, and what labels hold of every input: `(its number, None)`, or `(-number, function)` of a fold."""

    def __init__(self, name, fields, size):
        self.name, self.outputs = target(name, fields, list(range(size)))
        self.keys, self.folds, pending = [()] * size, {}, list(self.outputs)
        while pending:
            node = pending.pop()
            if id(node) not in self.folds:
                is_fold = node.of in (parity, math.prod) and all(type(at) is int for at in node.arguments)
                self.folds[id(node)] = fold = (-1 - len(self.folds), node.of) if is_fold else None
                pending += [at for at in node.arguments if type(at) is not int]
                for at in node.arguments:
                    key = fold or (at, None)
                    spend(len(self.keys[at]) if type(at) is int else 0)
                    if type(at) is int and key not in self.keys[at]:
                        self.keys[at] += (key,)

    def values(self, label):
        """The outputs at inputs of a label."""
        known = dict(label)
        spend(len(self.folds))

        def value(node):
            key = (node, None) if type(node) is int else self.folds[id(node)] or id(node)
            if key not in known:
                known[key] = short(node.of(list(map(value, node.arguments))))
            return known[key]

        return list(map(value, self.outputs))


def join(first, second):
    """The label of disjoint inputs together."""
    found = dict(first)
    for key, value in second:
        found[key] = key[1]([found[key], value]) if key in found else value
    return tuple(sorted(found.items()))


def target(name, fields, x):
    """The name of a target of inputs `x`, and its outputs."""
    spend(2**10)
    if name in ("targets.Composed", "targets.Iterated"):
        parts, texts = (fields.get("inner"), fields.get("outer")), []
        for part in parts if name == "targets.Composed" else (fields["target"],) * integer(fields["times"], 1, 500):
            text, x = target(*part, x)
            texts = [*texts, text][-2:]
        return f"{texts[1]} of {texts[0]}" if name == "targets.Composed" else f"{text}^{fields['times']}", x
    if name in ("targets.Parallel", "targets.FanOut"):
        sizes = fields.get("sizes") or (len(x),) * len(fields["targets"])
        ends = list(itertools.accumulate(map(integer, sizes)) if "sizes" in fields else sizes)
        parts = [target(*part, x[e - n : e]) for part, n, e in zip(fields["targets"], sizes, ends, strict=True)]
        need(ends[-1] == len(x), "the target has other sizes")
        text = (" | " if "sizes" in fields else " & ").join(text for text, _ in parts)
        return text, [node for _, nodes in parts for node in nodes]
    if name == "targets.Polynomial":
        n, outputs = integer(fields["variables"], 1, 64), fields["outputs"]
        term = lambda x, p: math.prod(v**e for v, e in zip(x, p, strict=True) if e)  # noqa: E731
        many = [lambda x, t=t: sum(number(c) * term(x, p) for p, c in t) for t in outputs]
        text = polynomial(n, outputs)
    elif name == "targets.BooleanFunction":
        spend(16 * math.prod(fields["table"].shape))
        table, (rows, width) = list(map(number, numbers(fields["table"], "static", "<f8"))), fields["table"].shape
        n, text = integer(rows.bit_length() - 1, 1, 20), f"boolean function({rows.bit_length() - 1})"
        need(rows == 2**n and width >= 1, "a table has another size than bits number")
        at = lambda bits: sum(parity([bit]) << k for k, bit in enumerate(bits))  # noqa: E731
        many = [lambda x, o=o: table[at(x) * width + o] for o in range(width)]
    else:
        n, kind = integer(fields["n"]), (name, fields.get("encoding"))
        text, many = {
            ("targets.Product", None): ("product({n})", [math.prod]),
            ("targets.Parity", "bits"): ("parity({n})", [parity]),
            ("targets.Parity", "signs"): ("parity({n}, signs)", [math.prod]),
            ("targets.SignsToBits", None): ("signs to bits({n})", lambda s: {1: 0, -1: 1}[s[0]]),
            ("targets.BitsToSigns", None): ("bits to signs({n})", lambda b: 1 - 2 * parity(b)),
        }[kind]
        text = text.format(n=n)
    need(len(x) == n, "the target has other sizes")
    spend(16 * n * len(many) if type(many) is list else 16 * n)
    return text, [Node(of, tuple(x)) for of in many] if type(many) is list else [Node(many, (v,)) for v in x]


def polynomial(n, outputs):
    """The name of a polynomial, if it is one."""
    flat = [term for terms in outputs for term in terms]
    spend(2**7 * len(flat))
    need(all(len(p) == n and sum(integer(e, 0, 64) for e in p) <= 64 for p, _ in flat), "a degree is too large")
    letters = [[x + f"^{e}" * (e > 1) for x, e in zip("xyzuvw", p) if e] for p, _ in flat]  # noqa: B905
    shown = [" ".join([f"{c:g}"] * (c != 1 or not x) + x) for x, (_, c) in zip(letters, flat, strict=True)]
    if len(outputs) > 1 or len(flat) > 4 or n > 6:
        degree = max((sum(p) for p, _ in flat), default=0)
        return f"polynomial({n} variables, degree {degree}, {len(flat)} terms)"
    return " + ".join(shown).replace("+ -", "- ") or "0"


def numbers(array, kind, code):
    need((array.kind, array.code) == (kind, code), f"an array should be {kind}, of {code}")
    need(math.prod(array.shape) <= 4 * MOST, "an array is too large")
    return struct.unpack(f"<{math.prod(array.shape)}{CODES[code]}", array.raw)


def repetition(node, at, times):
    """Layers whose arrays of weights are stacked, in one of their repetitions."""
    if isinstance(node, Array) and node.kind == "array":
        need(node.shape[:1] == (times,), "weights of what is repeated are of another number")
        size = len(node.raw) // times
        return node._replace(shape=node.shape[1:], raw=node.raw[at * size : (at + 1) * size])
    if isinstance(node, Record):
        return Record(node.name, {key: repetition(value, at, times) for key, value in node.fields.items()})
    return tuple(repetition(part, at, times) for part in node) if type(node) is tuple else node


def blocks(found, outer, high, width, inner):
    """The map y[p, a, q] = sum of w[p, a, b, q] x[p, b, q] over all b; or with weights w[a, b], equal for all p, q."""
    spend(outer * high * width * inner)
    heads, count = found if len(found) == high * width else found[: high * width * inner : inner], high * width
    tied = heads is found or all(
        found[k * inner : (k + 1) * inner].count(heads[k % count]) == inner for k in range(outer * count)
    )
    if tied and outer == 1:
        return Map([[(b, w) for b, w in enumerate(heads[a * width :][:width]) if w] for a in range(high)], width, inner)
    rows = []
    for p, a, q in itertools.product(range(outer), range(high), range(inner)):
        row = heads[a * width :][:width] if tied else found[(p * high + a) * width * inner + q :: inner][:width]
        rows.append([((p * width + b) * inner + q, w) for b, w in enumerate(row) if w])
    return Map(rows, outer * width * inner)


def sparse(rows, columns, weights, outputs, inputs):
    spend(outputs + len(columns))
    places, found = [r * inputs + c for r, c in zip(rows, columns, strict=True)], [[] for _ in range(outputs)]
    need(all(map(operator.lt, places, places[1:])), "positions come twice, or out of order")
    need(all(0 <= r < outputs for r in rows) and all(0 <= c < inputs for c in columns), "positions lie outside")
    for r, c, w in zip(rows, columns, weights, strict=True):
        found[r] += [(c, w)] * (w != 0)
    return Map(found, inputs)


def beside(chains, shared):
    """Maps side by side, each a chain of maps; of the same input, if it is shared."""
    steps, first = [], shared
    for maps in itertools.zip_longest(*chains):
        maps = [own or blocks((1.0,), 1, 1, 1, done[-1].outputs) for own, done in zip(maps, chains, strict=True)]
        rows, start = [], 0
        need(not first or len({own.inputs for own in maps}) == 1, "maps of the same input differ in size")
        for own in maps:
            rows += [[(c + start, w) for c, w in row] for row in own.units()]
            start += 0 if first else own.inputs
        steps.append(Map(rows, maps[0].inputs if first else start))
        first = False
    return steps


@functools.cache
def logistic(z):
    """A number near `1 / (1 + exp(-z))`, and bounds of it.

    With `x = |z| / 2^k <= 1` the series of `exp(-x)` alternates and falls: its sums lie on both sides. Its square of
    `k` times is rounded down and up to multiples of `2^-128`.
    """
    need(abs(z) < 2**12, "a sigmoid is too steep")
    k = math.ceil(abs(z)).bit_length()
    terms = [(-abs(z) / Fraction(2**k)) ** j / math.factorial(j) for j in range(32)]
    low, high = math.floor(sum(terms) * 2**128), math.ceil(sum(terms[:-1]) * 2**128)
    for _ in range(k):
        low, high = low * low >> 128, -(-high * high >> 128)
    low, high = (Fraction(2**128, 2**128 + end) for end in (high, low))
    low, high = (low, high) if z >= 0 else (1 - high, 1 - low)
    return Fraction(round((low + high) * 2**100), 2**101), low, high


def merged(parts, count):
    """Pairs of one label whose `count` values are near each other as one pair in the middle; errors grow by as much."""
    groups, found = {}, set()
    for values, mark in parts:
        groups.setdefault(mark, []).append(values)
    for mark, group in groups.items():
        columns = [(min(column), max(column)) for column in zip(*group, strict=True)] if len(group) > 1 else []
        if not columns or any(high - low > Fraction(1, 16) for low, high in columns[:count]):
            found |= {(values, mark) for values in group}
            continue
        middle = [Fraction(low + high, 2) for low, high in columns[:count]]
        errors = [
            most + value - low for value, (low, _), (_, most) in zip(middle, columns, columns[count:], strict=False)
        ]
        found.add(((*middle, *errors), mark))
    return found


def grouped(groups, count):
    """Modules and what reads them, together where units read some of the same; those that aren't read come alone."""
    leaders = list(range(count))

    def leader(child):
        while leaders[child] != child:
            leaders[child] = child = leaders[leaders[child]]
        return child

    for children in groups:
        first = min(map(leader, children), default=None)
        for child in children:
            leaders[leader(child)] = first
    found = {}
    for child in range(count):
        found.setdefault(leader(child), ([], []))[0].append(child)
    for children, indices in groups.items():
        found[leader(min(children)) if children else 0][1].extend(indices)
    return found.values()


def listed(modules):
    """The units of modules that are alike: those of rank 0 first."""
    return [(index, rank) for rank in range(len(modules[0].facts)) for index in range(len(modules))]


class Checker:
    """Proves what a file claims."""

    def __init__(self, data):
        BUDGET[0], self.file = STEPS, File(data)
        name, whole = self.file.whole
        need((name, self.file.certificate.name) == ("Construction", "Certificate"), "it is about no construction")
        self.claim, self.certificate = whole["claim"].fields, self.file.certificate.fields
        self.digits, tiny, large, self.code = FORMATS[self.claim["dtype"]]
        self.tiny, self.u = Fraction(2) ** tiny, Fraction(1, 2**self.digits)
        self.large = 2**large - 2 ** (large - self.digits)
        (self.text, self.domain), (_, self.codomain) = (coordinates(*self.claim[key]) for key in ("domain", "codomain"))
        self.goal = Goal(*self.claim["target"], len(self.domain))

    def recheck(self):
        """What was proved, as text."""
        goal = self.goal
        need(len(goal.outputs) == len(self.codomain), "the target has other sizes")
        self.check_certificate(**self.certificate)
        worst = float(self.worst(self.layers(self.file.whole.fields["network"].fields["layers"])))
        rest = "; robustness was not rechecked" * ("robustness" in self.certificate["covers"])
        what = f"{goal.name} on {self.text} in {self.claim['dtype']}"
        return f"{what}: error at most {worst:.6g}, proved from the weights{rest}"

    def check_certificate(self, method, covers, found, evidence, trusts, inputs, backend, seconds, **fields):
        claim = self.claim
        expected = {"verdict": "proved", "name": self.goal.name, "domain": self.text, "claimed": claim["error"]}
        expected |= {"dtype": claim["dtype"], "counterexample": None}
        expected |= {"digest": self.file.digest("network"), "claim_digest": self.file.digest("claim")}
        for name, value in expected.items():
            need(repr(fields[name]) == repr(value), f"its certificate has {name}={fields[name]!r:.80}")
        need(method in METHODS, f"{method!r:.40} is not a method that this checker knows")
        need(evidence.name == METHODS[method], "its evidence is of another method")
        need(covers in (("error",), ("error", "robustness")), "it covers what isn't known")
        need(all(map(operator.le, self.errors(found), self.errors(claim["error"]))), "it found more than is claimed")
        need(found.fields["relative"] <= claim["error"].fields["relative"], "it found more than is claimed")
        good = isinstance(trusts, tuple) and {type(text) for text in (*trusts, backend or "", claim["source"])} == {str}
        need(good and claim["status"] == "proved", "texts or status are odd")
        beside, origin = claim["robustness"].fields, self.file.whole.fields["origin"].name
        gains = beside["gain"] if isinstance(beside["gain"], tuple) else (beside["gain"],)
        good = all(value >= 0 for value in (beside["radius"], beside["rounding"], *gains))
        need(good and origin.startswith("origins."), "robustness or origin are odd")
        need(number(seconds, 0) + integer(inputs, 0, 2**64) >= 0, "time or inputs are odd")

    def errors(self, bound):
        """One absolute error an output."""
        many = bound.fields["absolute"]
        many = many if isinstance(many, tuple) else (many,) * len(self.goal.outputs)
        need(bound.name == "Bound" and len(many) == len(self.goal.outputs), "a bound is none")
        return [number(error + 0 * number(bound.fields["relative"], 0), 0) for error in many]

    def layers(self, layers):
        """Maps, and of every unit the bias and the name and power of its activation."""
        for layer in layers:
            spend(2**10)
            if layer.name == "Repeat":
                times = integer(layer.fields["times"])
                for at in range(times):
                    yield from self.layers(repetition(layer.fields["layers"], at, times))
                continue
            label, bias, act, linear = (layer.fields[key] for key in ("label", "bias", "activation", "linear"))
            need(label is None or (label.name, type(label.fields["name"])) == ("Label", str), "a label is none")
            *hidden, last = self.maps(*linear)
            yield from ((linear, [(0, PLAIN)] * linear.outputs) for linear in hidden)
            ends = self.biases(bias, last.outputs), self.activations(*act, last.outputs)
            yield last, list(zip(*ends, strict=True))

    def biases(self, bias, count):
        spend(count)
        if isinstance(bias, Record) and bias.name == "bias.JoinedBias":
            need(sum(map(integer, bias.fields["sizes"])) == count, "biases don't fit")
            parts = zip(bias.fields["parts"], bias.fields["sizes"], strict=True)
            return [b for part, size in parts for b in self.biases(part, size)]
        if isinstance(bias, Record):
            outer, high, inner = map(integer, bias.fields["shape"])
            need(outer * high * inner == count, "biases don't fit")
            return [b for b in self.weights(bias.fields["values"], high) for _ in range(inner)] * outer
        return (0,) * count if bias is None else self.weights(bias, count)

    def activations(self, name, fields, count):
        spend(count)
        if name == "activations.Concatenate":
            need(sum(map(integer, fields["widths"])) == count, "activations don't fit")
            parts = zip(fields["activations"], fields["widths"], strict=True)
            return [act for part, width in parts for act in self.activations(*part, width)]
        acts = {"Identity": PLAIN, "Square": ("Power", 2), "ReLU": ("ReLU", 1), "Step": ("Step", 1)}
        acts |= {"Power": ("Power", fields.get("n")), "Sigmoid": ("Sigmoid", fields.get("inverse_temperature"))}
        name, power = acts[name.removeprefix("activations.")]
        power = number(power, float(self.tiny)) if name == "Sigmoid" else integer(power, 1, 64)
        need(power <= self.large, "a temperature is no float")
        return [(name, power)] * count

    def weights(self, array, *shape):
        """The numbers of an array of weights: normal floats, or zeros."""
        found, tiny = numbers(array, "array", self.code), float(self.tiny)
        need(array.shape == shape, "weights have another shape")
        good = all(w == 0 or tiny <= abs(w) < math.inf for w in set(found))
        need(good, "weights are NaN, infinite or may be flushed")
        return found

    def maps(self, name, fields):
        """The maps that run one after another, the first first."""
        shape = [integer(length, 0) for length in fields.get("shape", ())]
        if name == "linear.Composed":
            return self.maps(*fields["inner"]) + self.maps(*fields["outer"])
        if name in ("linear.DirectSum", "linear.Stack"):
            return beside([self.maps(*part) for part in fields["parts"]], name == "linear.Stack")
        if name == "linear.SignProduct":  # by halving, in this order, and its weight then
            halves = [blocks((1.0, -1.0), 1, 1, 2, 2**k) for k in reversed(range(integer(fields["n"], 0, 8)))]
            return [*halves, blocks(self.weights(fields["weight"]), 1, 1, 1, 1)]
        if name == "linear.Permutation":
            columns = numbers(fields["indices"], "static", "<i4")
            return [sparse(range(len(columns)), columns, (1.0,) * len(columns), len(columns), len(columns))]
        if name == "linear.Sparse":
            rows, columns = (numbers(fields[key], "static", "<i4") for key in ("rows", "cols"))
            return [sparse(rows, columns, self.weights(fields["values"], len(rows)), *shape)]
        if name == "linear.SignPatterns":
            n, fixed = integer(fields["n"], 1, 12), {False: 0, True: 1}[fields["fixed"]]
            scales, high = self.weights(fields["scales"], n), 2 ** (n - fixed)
            found = [-w if j << fixed >> i & 1 else w for j in range(high) for i, w in enumerate(scales)]
            return [blocks(found, 1, high, n, 1)]
        if name == "linear.Identity":
            return [blocks((1.0,), 1, 1, 1, integer(fields["size"]))]
        array, wanted = {
            "linear.Dense": ("weight", shape),
            "linear.Kronecker": ("matrix", shape[1:3]),
            "linear.BlockDiagonal": ("blocks", shape),
        }[name]
        return [blocks(self.weights(fields[array], *wanted), *([1, *shape, 1] if name == "linear.Dense" else shape))]

    def growth(self, k):
        need(4 * k * self.u <= 1, "a sum is too long for its rounding to be bounded")
        return k * self.u + 2 * (k * self.u) ** 2  # more than k u / (1 - k u)

    def rounding(self, terms, bias):
        """How far a sum is off, by what its units' errors pass on to it, and its modulus.

        Terms are (weight, (largest modulus, step, error)) of units. Those without an error are multiples of `step`, a
        power of two, or of nothing that is known where it is 0.
        """
        terms = [(abs(number(w)), *facts) for w, facts in terms if facts[0] + facts[2]]
        n, bias = len(terms) + (bias != 0), abs(number(bias))
        mass = sum(w * (most + error) for w, most, _, error in terms) + bias
        need(mass * 2 <= self.large, "a sum may overflow")
        grid = min([lowest(w) * step for w, _, step, _ in terms] + [lowest(bias)] * (bias != 0), default=1)
        if not any(error for *_, error in terms) and grid >= self.tiny and mass <= grid * 2**self.digits:
            return lambda passed, height: passed
        sums, last = max(n - 2, 0), self.u * (n > 1)
        made = sum(self.growth(sums + (w != lowest(w))) * w * (most + error) for w, most, _, error in terms)
        made, flushed = made + self.growth(sums) * bias, 2 * self.tiny * (2 * n + sum(w for w, *_ in terms))
        return lambda passed, height: up((passed + made) * (1 + last) + last * min(height, mass) + flushed)

    def power_rounding(self, n, most, step, error):
        """How far the n-th power of a unit is off."""
        height, length = most + error, most.numerator.bit_length() + most.denominator.bit_length()
        need(n == 1 or n * length < 2**14, "numbers get too long")
        need(2 * height**n <= self.large, "a power may overflow")
        if n == 1 or (not error and step**n >= self.tiny and most**n <= step**n * 2**self.digits):
            return error
        return up(height**n * (1 + self.growth(n - 1)) - most**n + 4 * n * self.tiny * max(height, 1) ** n)

    def logistic_rounding(self, z, beta, error):
        """How far a float of `1 / (1 + exp(-beta z'))`, for a `z'` off by `error`, is off `logistic(beta z)[0]`."""
        # The product is rounded, unless beta is a power of two, and so is beta, unless it is a float of these digits.
        count = (beta != lowest(beta)) + (beta >= lowest(beta) * 2**self.digits)
        scaled = count * self.u * (1 + self.u) * (abs(z) + error)
        ends = beta * (z - error - scaled), beta * (z + error + scaled)  # taken outward to short fractions
        low = logistic(Fraction(math.floor(ends[0] * 2**96), 2**96))[1]
        high = logistic(Fraction(math.ceil(ends[1] * 2**96), 2**96))[2]
        middle, places = logistic(beta * z)[0], math.frexp(float(high))[1] - self.digits  # high < 2^exponent
        off = max(high - middle, middle - low) + 3 * Fraction(2) ** places + 2 * self.tiny
        return Fraction(math.ceil(off * 2**128), 2**128)

    def activated(self, name, power, z, error):
        """A unit's value and error, from those of its sum."""
        if name == "Power":
            error = self.power_rounding(power, abs(z), lowest(z), error)
            return z**power, error
        need(not isinstance(z, Polynomial), f"{name} isn't known on a box")
        if name == "Sigmoid":
            spend(10_000)
            return logistic(power * z)[0], self.logistic_rounding(z, power, error)
        need(name == "ReLU" or not -error < z < error + self.tiny or z == error == 0, "rounding may decide on a step")
        return (max(z, 0), error) if name == "ReLU" else (int(z > 0), 0)

    def module(self, children, units, merge=True):
        """A module from those that it reads, and its units: (bias, activation, ((child, rank, weight), ...))."""
        count, after = len(units), set()
        pairs = {((*(number(bias) for bias, _, _ in units), *[0] * count), ())}
        for index, child in enumerate(children):
            rows = [[(rank, number(w)) for c, rank, w in terms if c == index] for *_, terms in units]
            rows += [[(rank + len(child.facts), abs(w)) for rank, w in row] for row in rows]
            spend(len(child.pairs) * sum(map(len, rows)) + sum(len(terms) for *_, terms in units))
            parts = {(tuple(sum(w * v[r] for r, w in row) for row in rows), mark) for v, mark in child.pairs}
            if merge and any(error for *_, error in child.facts):
                parts = merged(parts, count)
            spend(len(pairs) * len(parts) * (1 + count + 2 * len(next(iter(pairs))[1])))
            pairs = {(tuple(map(operator.add, v, w)), join(a, b)) for v, a in pairs for w, b in parts}
        off = [self.rounding([(w, children[c].facts[r]) for c, r, w in terms], bias) for bias, _, terms in units]
        for sums, mark in pairs:
            made = zip(units, sums, sums[count:], off, strict=False)
            ends = [self.activated(*act, z, by(e, abs(z))) for (_, act, _), z, e, by in made]
            after.add(((*(v for v, _ in ends), *(e for _, e in ends)), mark))
        return self.known(after)

    def known(self, pairs):
        """A module of these pairs."""
        columns = list(map(set, zip(*(values for values, _ in pairs), strict=True)))
        held = zip(columns, columns[len(columns) // 2 :], strict=False)
        return Module(pairs, [(max(map(abs, values)), lowest(*values), max(errors)) for values, errors in held])

    def worst(self, layers):
        """The largest error on the domain."""
        goal, kinds, known, modules, worst = self.goal, {}, {}, [], 0
        for index, ((low, high, two), keys) in enumerate(zip(self.domain, goal.keys, strict=True)):
            key = (low, high, keys) if two else index
            if key not in kinds:
                values = (low, high) if two else [Polynomial({(index,): max(abs(low), abs(high))})]
                label = lambda v, keys=keys: tuple(sorted((key, key[1]([v]) if key[1] else v) for key in keys))  # noqa: E731
                kinds[key] = self.known({((v, 0), label(v)) for v in values})
            modules.append(kinds[key])
        # With `units = None` all modules are alike, and the units of rank 0 of each come first, then those of rank 1.
        units = None if len(kinds) == 1 else [(index, 0) for index in range(len(modules))]
        for linear, ends in layers:
            width = len(modules) * len(modules[0].facts) if units is None else len(units)
            need(width == linear.inputs, "layers don't fit")
            modules, units = self.through(modules, units, linear, ends, known)
        units = units or listed(modules)
        need(len(units) == len(goal.outputs), "the last layer doesn't fit")
        whole = self.module(modules, [(0, PLAIN, ((child, rank, 1.0),)) for child, rank in units], merge=False)
        for values, label in whole.pairs:
            wanted = goal.values(label)
            errors = [abs(v + -1 * t) + e for v, t, e in zip(values, wanted, values[len(wanted) :], strict=False)]
            worst = max(worst, self.allowed(errors, wanted))
        return worst

    def through(self, modules, units, linear, ends, known):
        """The modules of the next layer, and (module, rank) of its units."""
        count, inner, heads = len(modules), linear.inner, ends[:: linear.inner]
        alike = units is None and [end for end in heads for _ in range(inner)] == ends
        if alike and (inner > 1 or count == 1) and count % inner == 0:
            arity = count // inner
            rows = [tuple((b % arity, b // arity, w) for b, w in row) for row in linear.rows]
            one = self.module(modules[:arity], [(*end, row) for end, row in zip(heads, rows, strict=True)])
            return [one] * inner, None
        units, rows, groups = units or listed(modules), linear.units(), {}
        for index, row in enumerate(rows):
            groups.setdefault(frozenset(units[column][0] for column, _ in row), []).append(index)
        made, places = [], [None] * len(rows)
        for children, indices in grouped(groups, count):
            inside, rank = [], {child: position for position, child in enumerate(children)}
            for position, index in enumerate(indices):
                terms = tuple((rank[units[column][0]], units[column][1], w) for column, w in rows[index])
                inside, places[index] = [*inside, (*ends[index], terms)], (len(made), position)
            key = (tuple(id(modules[child]) for child in children), tuple(inside))
            if key not in known:
                known[key] = self.module([modules[child] for child in children], inside)
            made.append(known[key])
        return made, places

    def allowed(self, errors, wanted):
        """The largest error, if all are within the claim, and the target's values within its codomain."""
        for value, (low, high, two) in zip(wanted, self.codomain, strict=True):
            least, most = (-abs(value), abs(value)) if isinstance(value, Polynomial) else (value, value)
            good = least == most and least in (low, high) if two else low <= least and most <= high
            need(good, "the target leaves its codomain")
        good = all(map(operator.le, errors, self.errors(self.claim["error"])))
        need(good, f"its error may be {float(max(errors)):.6g}, which is more than is claimed")
        return max(errors)


def main(paths):
    """Check files, a line each; 0 if all are accepted."""
    verdicts = []
    for path in paths:
        try:
            with open(path, "rb") as file:
                verdict, text = "accepted", Checker(file.read(LARGEST + 1)).recheck()
        except Exception as error:  # whatever is wrong with a file
            verdict, text = "rejected", str(error) if isinstance(error, Refused) else f"it is malformed ({error!r:.80})"
        verdicts.append(verdict)
        print(ascii(f"{verdict}: {path}: {text}")[1:-1])
    return int(not verdicts or "rejected" in verdicts)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
