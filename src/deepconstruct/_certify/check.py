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

Finite domains go module by module: units that read the same units are one module. No unit is read by two modules, so
these have disjoint inputs and hold independent values. Of every kind of module all pairs of (values, label) are
listed in exact numbers, with bounds of how far floats are off; the label is what the target needs of the module's
inputs: parity, product, or all of them. Pairs come from all combinations of pairs of what is read. Equal ones are one,
and so are near ones that aren't exact, with larger bounds: trees are quick, and one module of all units is a run of
all inputs. At the end values are compared with the target of their label.

Squares and powers on boxes: outputs are multiplied out as polynomials with rational coefficients. What is left
without the target's is at most the sum of moduli of coefficients times powers of the bound of the inputs.
"""

# pyright: reportArgumentType=false, reportCallIssue=false, reportAttributeAccessIssue=false, reportOperatorIssue=false
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
# Every class that a file may hold, with exactly these fields; methods that are known, with the class of their evidence.
CLASSES = """Construction: network claim origin; Network: layers; Layer: linear bias activation label;
Label: name group strided uneven; Claim: target domain codomain error robustness dtype source status;
Bound: absolute relative; Robustness: radius gain rounding; linear.Dense: weight shape; linear.Identity: size;
linear.Sparse: values rows cols shape; linear.BlockDiagonal: blocks shape; linear.Kronecker: matrix shape;
linear.Composed: outer inner; linear.SignPatterns: scales n fixed; linear.SignProduct: weight n;
bias.TiledBias: values shape; activations.Identity:; activations.ReLU:; activations.Step:; activations.Square:;
activations.Power: n; activations.Sigmoid: inverse_temperature; domains.Bits: n; domains.Signs: n;
domains.Box: n low high; targets.Parity: n encoding; targets.BitsToSigns: n; targets.SignsToBits: n;
targets.Product: n; targets.Polynomial: variables outputs; targets.BooleanFunction: table; origins.Stated:;
origins.Built: builder arguments plan; origins.Rewritten: rule of; origins.Series: parts merge; origins.Parallel: parts;
origins.FanOut: parts; origins.Repeated: part times merge; plans.Tree: levels; plans.Blocks: levels; plans.Sum: terms
constant; plans.Circuit: inputs levels outputs; plans.GatePlan: n kind bias scale mix; evidence.Expanded: terms
difference rounding; evidence.Pointwise: digits real rounding; evidence.Modules: levels kinds grid;
evidence.GateRecord: count inputs units states; Certificate: verdict method name domain covers found claimed evidence
trusts inputs dtype backend digest claim_digest seconds counterexample"""
CLASSES = {name.strip(): set(text.split()) for name, text in (entry.split(":") for entry in CLASSES.split(";"))}
METHODS = {"modules": "evidence.Modules", "exhaustive": "evidence.Pointwise", "identity": "evidence.Expanded"}
# Binary digits of floats, exponents of the least normal one and of what is too large; how arrays hold numbers.
FORMATS = {"float16": (11, -14, 16, "<f2"), "float32": (24, -126, 128, "<f4"), "float64": (53, -1022, 1024, "<f8")}
CODES = {"<f2": "e", "<f4": "f", "<f8": "d", "<i4": "i", "<i8": "q", "|b1": "?"}
# How labels of disjoint inputs are joined, and what is the label of none.
LABELS = {"parity": (operator.xor, 0), "product": (operator.mul, 1), "all": (operator.add, 0)}

Record = namedtuple("Record", "name fields")
Array = namedtuple("Array", "kind code shape raw")
# `values` gives a target's values by the label of its inputs; `terms` are dicts of powers and coefficients.
Target = namedtuple("Target", "name inputs outputs label values terms", defaults=[None] * 3)
# The map y[p, a, q] = sum of w x[p, b, q] over all (b, w) of rows[a], with p < outer, b < width, q < inner.
Map = namedtuple("Map", "rows outer width inner", defaults=[1])
# Pairs of (values and errors of all units, label), and largest modulus, step and error of each unit.
Module = namedtuple("Module", "pairs facts")


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
                inside = pairs["fields"]
                need(
                    CLASSES.get(value) == set(inside), f"the class {value!r:.50} isn't known, or not with these fields"
                )
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
    """A domain as text, its number of coordinates, least and largest value of one, and whether it has just these."""
    n = integer(fields["n"])
    if name != "domains.Box":
        return f"{name[8:]}(n={n})", n, {"domains.Bits": 0, "domains.Signs": -1}[name], 1, True
    low, high = number(fields["low"]), number(fields["high"])
    need(low <= high, "a box has its ends exchanged")
    return f"Box(n={n}, low={fields['low']!r}, high={fields['high']!r})", n, low, high, False


def target(name, fields):
    if name == "targets.Polynomial":
        return polynomial(integer(fields["variables"], 1, 64), fields["outputs"])
    if name == "targets.BooleanFunction":
        table, (rows, width) = list(map(number, numbers(fields["table"], "static", "<f8"))), fields["table"].shape
        n = integer(rows.bit_length() - 1, 1, 20)
        need(rows == 2**n and width >= 1, "a table has another size than bits number")
        return Target(f"boolean function({n})", n, width, "all", lambda i: table[i * width : (i + 1) * width])
    n = integer(fields["n"])
    if name == "targets.Product":
        return Target(f"product({n})", n, 1, "product", lambda label: [label], [{(1,) * min(n, 99): 1}])
    if name == "targets.Parity":
        text, label = {"bits": ("", "parity"), "signs": (", signs", "product")}[fields["encoding"]]
        return Target(f"parity({n}{text})", n, 1, label, lambda label: [label])
    if name == "targets.SignsToBits":  # of signs the label is the sum of those times powers of two
        return Target(f"signs to bits({n})", n, n, "all", lambda i: [1 - (i + 2**n - 1 >> k + 1 & 1) for k in range(n)])
    need(name == "targets.BitsToSigns", f"{name} isn't known")
    return Target(f"bits to signs({n})", n, n, "all", lambda i: [1 - 2 * (i >> k & 1) for k in range(n)])


def polynomial(n, outputs):
    flat = [term for terms in outputs for term in terms]
    need(all(len(p) == n and sum(integer(e, 0, 64) for e in p) <= 64 for p, _ in flat), "a degree is too large")
    letters = [[x + f"^{e}" * (e > 1) for x, e in zip("xyzuvw", p) if e] for p, _ in flat]  # noqa: B905
    shown = [" ".join([f"{c:g}"] * (c != 1 or not x) + x) for x, (_, c) in zip(letters, flat, strict=True)]
    name = " + ".join(shown).replace("+ -", "- ") or "0"
    if len(outputs) > 1 or len(flat) > 4 or n > 6:
        degree = max((sum(p) for p, _ in flat), default=0)
        name = f"polynomial({n} variables, degree {degree}, {len(flat)} terms)"
    terms = [{} for _ in outputs]
    for total, part in zip(terms, outputs, strict=True):
        for powers, c in part:
            total[powers] = total.get(powers, 0) + number(c)
    return Target(name, n, len(outputs), terms=terms)


def numbers(array, kind, code):
    need((array.kind, array.code) == (kind, code), f"an array should be {kind}, of {code}")
    need(math.prod(array.shape) <= 4 * MOST, "an array is too large")
    return struct.unpack(f"<{math.prod(array.shape)}{CODES[code]}", array.raw)


def matrix(values, high, width):
    return [[(b, w) for b, w in enumerate(values[a * width : (a + 1) * width]) if w] for a in range(high)]


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


def joined(parts, count):
    """Pairs of one label whose `count` values are near each other as one pair in the middle; errors grow by as much."""
    groups, found = {}, set()
    for values, mark in parts:
        groups.setdefault(mark, []).append(values)
    for mark, group in groups.items():
        ends = [(min(column), max(column)) for column in zip(*group, strict=True)]
        if any(high - low > Fraction(1, 16) for low, high in ends[:count]):
            found |= {(values, mark) for values in group}
        else:
            errors = [
                most + Fraction(high - low, 2) for (low, high), (_, most) in zip(ends, ends[count:], strict=False)
            ]
            found.add(((*(Fraction(low + high, 2) for low, high in ends[:count]), *errors), mark))
    return found


class Checker:
    """Proves what a file claims."""

    def __init__(self, data):
        self.file, self.steps = File(data), STEPS
        name, whole = self.file.whole
        need((name, self.file.certificate.name) == ("Construction", "Certificate"), "it is about no construction")
        self.claim, self.certificate = whole["claim"].fields, self.file.certificate.fields
        self.digits, tiny, large, self.code = FORMATS[self.claim["dtype"]]
        self.tiny, self.u = Fraction(2) ** tiny, Fraction(1, 2**self.digits)
        self.large = 2**large - 2 ** (large - self.digits)
        self.text, self.inputs, self.low, self.high, self.is_finite = coordinates(*self.claim["domain"])
        self.goal = target(*self.claim["target"])

    def spend(self, steps):
        self.steps -= steps
        need(self.steps > 0, "rechecking it takes too long")

    def recheck(self):
        """What was proved, as text."""
        goal, claim = self.goal, self.claim
        sizes = self.inputs, coordinates(*claim["codomain"])[1]
        need((goal.inputs, goal.outputs) == sizes, "the target has other sizes")
        self.check_certificate(**self.certificate)
        layers, count = [], self.inputs
        for linear, biases, *act in self.layers():
            need(count == linear.outer * linear.width * linear.inner, "layers don't fit together")
            count = integer(linear.outer * len(linear.rows) * linear.inner, 0)
            layers.append((linear, biases or (0,) * count, *act))
            need(len(layers[-1][1]) == count, "biases don't fit")
        need(count == goal.outputs, "the last layer doesn't fit")
        worst = float(self.finite(layers) if self.is_finite else self.polynomials(layers))
        rest = "; robustness was not rechecked" * ("robustness" in self.certificate["covers"])
        what = f"{goal.name} on {self.text} in {claim['dtype']}"
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
        many = many if isinstance(many, tuple) else (many,) * self.goal.outputs
        need(bound.name == "Bound" and len(many) == self.goal.outputs, "a bound is none")
        return [number(error + 0 * number(bound.fields["relative"], 0), 0) for error in many]

    def layers(self):
        """Maps, biases, and names and powers of activations; hidden factors of maps have no biases."""
        for layer in self.file.whole.fields["network"].fields["layers"]:
            label, bias, (name, fields) = (layer.fields[key] for key in ("label", "bias", "activation"))
            need(label is None or (label.name, type(label.fields["name"])) == ("Label", str), "a label is none")
            *hidden, last = self.maps(*layer.fields["linear"])
            yield from ((linear, None, "Power", 1) for linear in hidden)
            if isinstance(bias, Record):
                outer, high, inner = map(integer, bias.fields["shape"])
                bias = tuple(b for b in self.weights(bias.fields["values"], high) for _ in range(inner)) * outer
            elif bias is not None:
                bias = self.weights(bias, math.prod(bias.shape))
            acts = {"Identity": ("Power", 1), "Square": ("Power", 2), "ReLU": ("ReLU", 1), "Step": ("Step", 1)}
            acts |= {"Power": ("Power", fields.get("n")), "Sigmoid": ("Sigmoid", fields.get("inverse_temperature"))}
            name, power = acts[name.removeprefix("activations.")]
            if name == "Sigmoid":
                need(self.tiny <= number(power) <= self.large, "a temperature is no float")
            yield last, bias, name, number(power) if name == "Sigmoid" else integer(power, 1, 64)

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
        if name == "linear.Identity":
            return [Map([[(0, 1.0)]], 1, 1, integer(fields["size"]))]
        if name == "linear.SignProduct":  # by halving, in this order, and its weight then
            halves = [Map([[(0, 1.0), (1, -1.0)]], 1, 2, 2**k) for k in reversed(range(integer(fields["n"], 0, 8)))]
            return [*halves, Map(matrix(self.weights(fields["weight"]), 1, 1), 1, 1)]
        if name == "linear.SignPatterns":
            n, fixed = integer(fields["n"], 1, 12), {False: 0, True: 1}[fields["fixed"]]
            scales, high = self.weights(fields["scales"], n), 2 ** (n - fixed)
            signed = [-w if j << fixed >> i & 1 else w for j in range(high) for i, w in enumerate(scales)]
            return [Map(matrix(signed, high, n), 1, n)]
        if name == "linear.Sparse":
            return [self.sparse(fields, *shape)]
        if name == "linear.Dense":
            return [Map(matrix(self.weights(fields["weight"], *shape), *shape), 1, shape[1])]
        outer, high, width, inner = shape
        if name == "linear.Kronecker":
            return [Map(matrix(self.weights(fields["matrix"], high, width), high, width), outer, width, inner)]
        need(name == "linear.BlockDiagonal", f"{name} isn't known")
        found = self.weights(fields["blocks"], *shape)
        heads, count = found[: high * width * inner : inner], high * width
        if all(found[k * inner : (k + 1) * inner].count(heads[k % count]) == inner for k in range(outer * count)):
            return [Map(matrix(heads, high, width), outer, width, inner)]
        rows = []
        for p, a, q in itertools.product(range(outer), range(high), range(inner)):
            weights = found[(p * high + a) * width * inner + q :: inner][:width]
            rows.append([((p * width + b) * inner + q, w) for b, w in enumerate(weights) if w])
        return [Map(rows, 1, outer * width * inner)]

    def sparse(self, fields, outputs, inputs):
        rows, columns = (numbers(fields[key], "static", "<i4") for key in ("rows", "cols"))
        places, found = [r * inputs + c for r, c in zip(rows, columns, strict=True)], [[] for _ in range(outputs)]
        need(all(map(operator.lt, places, places[1:])), "positions come twice, or out of order")
        need(all(0 <= r < outputs for r in rows) and all(0 <= c < inputs for c in columns), "positions lie outside")
        for r, c, w in zip(rows, columns, self.weights(fields["values"], len(rows)), strict=True):
            found[r] += [(c, w)] * (w != 0)
        return Map(found, 1, inputs)

    def rows(self, rows, outer, width, inner):
        self.spend(outer * inner * (1 + sum(map(len, rows))))
        firsts = [(p * width * inner + q, row) for p in range(outer) for row in rows for q in range(inner)]
        return [[(first + b * inner, w) for b, w in row] for first, row in firsts]

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
        if name == "Sigmoid":
            self.spend(10_000)
            return logistic(power * z)[0], self.logistic_rounding(z, power, error)
        if name == "Power":
            return z**power, self.power_rounding(power, abs(z), lowest(z), error)
        need(name == "ReLU" or not -error < z < error + self.tiny or z == error == 0, "rounding may decide on a step")
        return (max(z, 0), error) if name == "ReLU" else (int(z > 0), 0)

    def module(self, children, units, act=("Power", 1), merge=True):
        """A module from those that it reads, and its units: (bias, ((child, rank, weight), ...))."""
        (join, none), count = LABELS[self.goal.label], len(units)
        pairs, after = {((*(number(bias) for bias, _ in units), *[0] * count), none)}, set()
        for index, child in enumerate(children):
            rows = [[(rank, number(w)) for c, rank, w in terms if c == index] for _, terms in units]
            rows += [[(rank + len(child.facts), abs(w)) for rank, w in row] for row in rows]
            self.spend(len(child.pairs) * sum(map(len, rows)) + sum(len(terms) for _, terms in units))
            parts = {(tuple(sum(w * v[r] for r, w in row) for row in rows), mark) for v, mark in child.pairs}
            if merge and any(error for *_, error in child.facts):
                parts = joined(parts, count)
            self.spend(len(pairs) * len(parts) * (1 + count))
            pairs = {(tuple(map(operator.add, v, w)), join(a, b)) for v, a in pairs for w, b in parts}
        off = [self.rounding([(w, children[c].facts[r]) for c, r, w in terms], bias) for bias, terms in units]
        for sums, mark in pairs:
            ends = [self.activated(*act, z, by(e, abs(z))) for z, e, by in zip(sums, sums[count:], off, strict=False)]
            after.add(((*(v for v, _ in ends), *(e for _, e in ends)), mark))
        columns = list(map(set, zip(*(values for values, _ in after), strict=True)))
        pairs = zip(columns, columns[count:], strict=False)
        return Module(after, [(max(map(abs, held)), lowest(*held), max(errors)) for held, errors in pairs])

    def finite(self, layers):
        """The largest error on a finite domain."""
        goal, known, number_all = self.goal, {}, self.goal.label == "all"
        signs = goal.label == "product" or goal.name.startswith("signs to bits")
        need(goal.label and (signs or self.low == 0), "this target isn't known on this domain")
        kinds = range(self.inputs) if number_all else [0]
        kinds = [Module({((v, 0), v << i) for v in (self.low, self.high)}, [(1, Fraction(1), 0)]) for i in kinds]
        # With `units = None` all modules are alike, and the units of rank 0 of each come first, then those of rank 1.
        modules, units = (kinds, [(i, 0) for i in range(self.inputs)]) if number_all else (kinds * self.inputs, None)
        for linear, biases, *act in layers:
            modules, units = self.through(modules, units, linear, biases, act, known)
        outputs = [(0, ((child, rank, 1.0),)) for child, rank in self.listed(modules, units)]
        whole, worst = self.module(modules, outputs, merge=False), 0
        for values, label in whole.pairs:
            wanted = goal.values(label)
            errors = [abs(v - t) + e for v, t, e in zip(values, wanted, values[len(wanted) :], strict=False)]
            worst = max(worst, self.allowed(errors, wanted, wanted))
        return worst

    def listed(self, modules, units):
        return units or [(index, rank) for rank in range(len(modules[0].facts)) for index in range(len(modules))]

    def through(self, modules, units, linear, biases, act, known):
        """The modules of the next layer, and (module, rank) of its units."""
        count, inner, heads = len(modules), linear.inner, biases[:: linear.inner]
        spread = tuple(bias for bias in heads for _ in range(inner))
        alike = units is None and linear.outer == 1 and spread == tuple(biases)
        if alike and (inner > 1 or count == 1) and count % inner == 0:
            arity = count // inner
            rows = [tuple((b % arity, b // arity, w) for b, w in row) for row in linear.rows]
            return [self.module(modules[:arity], list(zip(heads, rows, strict=True)), act)] * inner, None
        units, rows, groups = self.listed(modules, units), self.rows(*linear), {}
        for index, row in enumerate(rows):
            groups.setdefault(tuple(sorted({units[column][0] for column, _ in row})), []).append(index)
        read = [child for children in groups for child in children]
        if len(set(read)) < len(read):  # what overlaps is one module
            groups, read = {tuple(range(count)): range(len(rows))}, range(count)
        groups |= {(child,): [] for child in set(range(count)) - set(read)}  # only its label goes on
        made, places = [], [None] * len(rows)
        for children, indices in groups.items():
            inside, rank = [], {child: position for position, child in enumerate(children)}
            for position, index in enumerate(indices):
                terms = tuple((rank[units[column][0]], units[column][1], w) for column, w in rows[index])
                inside, places[index] = [*inside, (biases[index], terms)], (len(made), position)
            key = (tuple(id(modules[child]) for child in children), tuple(inside))
            if key not in known:
                known[key] = self.module([modules[child] for child in children], inside, act)
            made.append(known[key])
        return made, places

    def allowed(self, errors, low, high):
        """The largest error, if all are within the claim, and the target's values within its codomain."""
        *_, least, most, two = coordinates(*self.claim["codomain"])
        for a, b in zip(low, high, strict=True):
            need(a == b and a in (least, most) if two else least <= a and b <= most, "the target leaves its codomain")
        good = all(map(operator.le, errors, self.errors(self.claim["error"])))
        need(good, f"its error may be {float(max(errors)):.6g}, which is more than is claimed")
        return max(errors)

    def polynomials(self, layers):
        """The largest error on a box."""
        n, most, goals, one = self.inputs, max(abs(self.low), abs(self.high)), self.goal.terms, (0,) * self.inputs
        need(goals and n <= 64, "this target isn't known on a box")
        size = lambda terms: sum(abs(c) * most ** sum(powers) for powers, c in terms.items())  # noqa: E731
        units = [({(*one[:i], 1, *one[i + 1 :]): 1}, (most, 0, 0)) for i in range(n)]
        for linear, biases, name, power in layers:
            need(name == "Power", f"{name} isn't known on a box")
            below, units = units, []
            for row, bias in zip(self.rows(*linear), biases, strict=True):
                sums = self.added([*((number(w), below[c][0]) for c, w in row), (number(bias), {one: 1})])
                passed, raised = sum(abs(number(w)) * below[c][1][2] for c, w in row), {one: 1}
                error = self.rounding([(w, below[c][1]) for c, w in row], bias)(passed, size(sums))
                error = self.power_rounding(power, size(sums), 0, error)
                for _ in range(power):
                    moved = lambda p: {tuple(map(operator.add, p, q)): d for q, d in sums.items()}  # noqa: B023,E731
                    raised = self.added([(c, moved(p)) for p, c in raised.items()])
                units.append((raised, (size(raised), 0, error)))
        rests = [self.added([(1, got), (-1, goal)]) for (got, _), goal in zip(units, goals, strict=True)]
        errors = [size(rest) + error for rest, (_, (*_, error)) in zip(rests, units, strict=True)]
        return self.allowed(errors, [-size(goal) for goal in goals], list(map(size, goals)))

    def added(self, parts):
        """The sum of polynomials, each with a factor."""
        total = {}
        for factor, terms in parts:
            self.spend(40 * len(terms))
            for powers, c in terms.items():
                total[powers] = total.get(powers, 0) + factor * c
        return {powers: c for powers, c in total.items() if c}


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
