"""Recheck instances for verifiers with Python's standard library alone: `python -S -E check.py FOLDER...`

What an accepted folder proves. Where the property holds: for EVERY real vector of the box of `property.vnnlib`, the
output of the network in `model.onnx` is off what is unsafe, by more than any run of it in float32 can be off; so it is
also safe as it runs, on every float32 vector of the box. Where it fails: the witness is a float32 vector of the box
whose output over the reals is unsafe, beyond its end by more than any run can be off. Both are proved anew, from the
weights in `model.onnx`, in rational numbers; no code is shared with the library.

Runs: sums in any order, with or without fused multiply-adds, results rounded to nearest or flushed to zero.

How it is proved that outputs stay below a number:
1. Units that are positive multiples of one another are joined, unread ones dropped: networks that are subtracted from
   their own rewritten selves vanish.
2. Units that depend on one weighted sum of what is below, and on nothing else, are known exactly as functions of it:
   piecewise linear, as corners. Where several such sums meet, each goes through all of its range independently.
3. A network of two hidden layers, the first of single inputs, is largest at corners of the box if, whatever the other
   inputs are, moving an input to the nearer end of its interval gains no less in units of its own than others lose, by
   the steepest slopes of those. At corners, units with few inputs are tables; tables that are largest for one parity of
   their inputs are equations modulo 2, and if these contradict each other, one of them fails.

How far runs are off: units with proportional weights see the same error of what is below, and pass it on by the
steepest slope of their sum; each adds the rounding of its own sum.
"""

# pyright: reportArgumentType=false, reportCallIssue=false, reportPossiblyUnboundVariable=false
# pyright: reportGeneralTypeIssues=false, reportOptionalIterable=false
import hashlib
import itertools
import json
import re
import struct
import sys
from bisect import bisect_left
from fractions import Fraction
from pathlib import Path

# Half a unit in the last place, relative; more than what is flushed to zero; bytes of a file; corners of a curve.
UNIT, FLUSHED, LARGEST, MOST = Fraction(1, 2**24), Fraction(1, 2**100), 2**27, 2**16


class Refused(Exception):
    """What is wrong with a folder."""


def need(good, reason):
    if not good:
        raise Refused(reason)


# Networks: a list of layers `(rows, biases)` with ReLUs behind all but the last; a row is a dict `{column: weight}`.


def exact(layers, x):
    """The outputs at a vector, over the rational numbers."""
    for index, (rows, biases) in enumerate(layers):
        sums = [b + sum(w * x[col] for col, w in row.items()) for row, b in zip(rows, biases, strict=True)]
        x = sums if index == len(layers) - 1 else [max(z, Fraction(0)) for z in sums]
    return x


def direction(row):
    """A row over its first weight, hashable; and that weight: `((), 0)` if the row is empty."""
    if not row:
        return (), Fraction(0)
    scale = row[min(row)]
    return tuple((col, row[col] / scale) for col in sorted(row)), scale


def joined(layers):
    """The same function: units that are positive multiples of one another are one, and unread ones are dropped."""
    layers = list(layers)
    for index in range(len(layers) - 1):
        places, units, factors = {}, [], []
        for row, b in zip(*layers[index], strict=True):
            size = abs(direction(row)[1])
            unit = (
                (tuple((col, row[col] / size) for col in sorted(row)), b / size) if size else ((), max(b, Fraction(0)))
            )
            if unit not in places:
                places[unit] = len(units)
                units.append(unit)
            factors.append((places[unit], size or Fraction(1)))
        after, biases = [], []
        for row, b in zip(*layers[index + 1], strict=True):
            total = {}
            for col, w in row.items():
                place, size = factors[col]
                total[place] = total.get(place, Fraction(0)) + w * size
            biases.append(b + sum(w * units[place][1] for place, w in total.items() if not units[place][0]))
            after.append({place: w for place, w in total.items() if w and units[place][0]})
        read = {place: new for new, place in enumerate(sorted(set().union(*after)))}
        layers[index] = [dict(units[place][0]) for place in read], [units[place][1] for place in read]
        layers[index + 1] = [{read[place]: w for place, w in row.items()} for row in after], biases
    return layers


# Curves: piecewise linear functions on an interval, as corners `[(t, value), ...]` with growing `t`.


def value_at(curve, t):
    place = bisect_left(curve, (t,))
    if curve[place][0] == t:
        return curve[place][1]
    (start, low), (stop, high) = curve[place - 1 : place + 1]
    return low + (high - low) * (t - start) / (stop - start)


def weighted(terms):
    """The sum of `w * curve` over all `(w, curve)`, which are on one interval."""
    if len(terms) == 1:
        return [(t, terms[0][0] * v) for t, v in terms[0][1]]
    places = sorted({t for _, curve in terms for t, _ in curve})
    need(len(places) <= MOST, "a curve has too many corners")
    return [(t, sum(w * value_at(curve, t) for w, curve in terms)) for t in places]


def clipped(curve):
    """The ReLU of a curve."""
    found = []
    for (t, v), after in itertools.zip_longest(curve, curve[1:]):
        found.append((t, max(v, Fraction(0))))
        if after is not None and v * after[1] < 0:
            found.append((t + (after[0] - t) * v / (v - after[1]), Fraction(0)))
    return found


def line(low, high, slope=1):
    """The line `slope * t`."""
    return [(t, slope * t) for t in sorted({low, high})]


def ends(curve):
    values = [v for _, v in curve]
    return min(values), max(values)


def by_root(row, units):
    """What a row adds up, as curves over the sums that its units depend on."""
    terms = {}
    for col, w in row.items():
        root, curve = units[col]
        terms.setdefault(root, []).append((w, curve))
    return {root: weighted(terms[root]) for root in terms}


def curve_of(row, units, level):
    """The sum of a row as a curve, and what it is a curve over: the one sum below it depends on, or itself."""
    parts = by_root(row, units)
    if len(parts) == 1:
        return next(iter(parts.items()))
    key, scale = direction(row)
    low, high = (
        (sum(side, Fraction(0)) for side in zip(*map(ends, by_root(dict(key), units).values()), strict=True))
        if key
        else (Fraction(0), Fraction(0))
    )
    return (level, key), line(low, high, scale)


def ranges(layers, box):
    """Between which numbers the units of every layer lie, before their ReLUs, for all inputs of the box."""
    units, found = [(index, line(*interval)) for index, interval in enumerate(box)], []
    for level, (rows, biases) in enumerate(layers):
        sums = [curve_of(row, units, level) for row in rows]
        sums = [(root, [(t, v + b) for t, v in curve]) for (root, curve), b in zip(sums, biases, strict=True)]
        found.append([ends(curve) for _, curve in sums])
        units = [(root, clipped(curve)) for root, curve in sums]
    return found


def steepest(units):
    """The largest slope, in modulus, of the sum of `w relu(c t + b)` over all `(w, c, b)`."""
    kinks = sorted({-b / c for _, c, b in units})
    places = [kinks[0] - 1, *((a + b) / 2 for a, b in itertools.pairwise(kinks)), kinks[-1] + 1]
    return max(abs(sum(w * c for w, c, b in units if c * t + b > 0)) for t in places)


def rounding(layers, box):
    """How far a run in float32 is off the outputs over the reals, at most, at float32 inputs of the box."""
    most = [max(abs(low), abs(high)) for low, high in box]
    units, errors = [], {}
    for (rows, biases), spans in zip(layers, ranges(layers, box), strict=True):
        passed, made, keys = {}, [], [direction(row) for row in rows]
        for row, b, (key, _) in zip(rows, biases, keys, strict=True):
            if key not in passed:
                passed[key] = passed_on(dict(key), units, errors) if units else Fraction(0)
            count, mass = len(row) + 1, abs(b) + sum(abs(w) * most[col] for col, w in row.items())
            made.append(count * UNIT / (1 - count * UNIT) * mass + FLUSHED * count * (1 + sum(map(abs, row.values()))))
        off = [abs(scale) * passed[key] + own for (key, scale), own in zip(keys, made, strict=True)]
        most = [max(high, Fraction(0)) + error for (_, high), error in zip(spans, off, strict=True)]
        units = [(key, scale, b, own) for (key, scale), b, own in zip(keys, biases, made, strict=True)]
        errors = passed
    return max(off)


def passed_on(row, units, errors):
    """How far a sum is off whose units are, before it is rounded itself."""
    groups, total = {}, Fraction(0)
    for col, w in row.items():
        key, scale, b, own = units[col]
        total += abs(w) * own
        if key:
            groups.setdefault(key, []).append((w, scale, b))
    return total + sum(steepest(group) * errors[key] for key, group in groups.items() if errors[key])


def corner_bound(layers, box):
    """The largest output by rule 3; `None` if it doesn't apply. Takes joined layers."""
    if len(layers) != 3 or len(layers[2][0]) != 1 or any(len(row) != 1 for row in layers[0][0]):
        return None
    units = [
        (next(iter(row)), clipped([(t, w * t + b) for t, _ in line(*box[col])]))
        for row, b in zip(*layers[0], strict=True)
        for col, w in row.items()
    ]
    sums = {}
    for col, w in layers[2][0][0].items():
        key, scale = direction(layers[1][0][col])
        sums.setdefault(key, []).append((w, scale, layers[1][1][col]))
    own, shared = {index: [] for index in range(len(box))}, []
    for key, group in sums.items():
        parts = by_root(dict(key), units)
        if len(parts) > 1:
            shared.append((parts, group))
            continue
        ((index, curve),) = parts.items()
        own[index] += [(w, clipped([(t, c * v + b) for t, v in curve])) for w, c, b in group]
    total = layers[2][1][0]
    for index, interval in enumerate(box):
        curve = weighted([(Fraction(1), line(*interval, 0)), *own[index]])
        if not gains(curve, [(parts[index], steepest(group)) for parts, group in shared if index in parts]):
            return None
        total += max(curve[0][1], curve[-1][1])
    tables = [table(parts, group) for parts, group in shared]
    if None in tables:
        return None
    return (
        total + sum(best for best, *_ in tables) - contradiction([rest for _, *rest in tables if rest[0] is not None])
    )


def gains(own, others):
    """Whether moving an input to the nearer end gains in `own` what others lose, at most: checked at all corners.

    Between neighboring corners what is gained is concave, so that it is least at one of them.
    """
    (low, _), (high, _) = own[0], own[-1]
    middle = (low + high) / 2
    for t in {middle, *(t for curve in (own, *(curve for curve, _ in others)) for t, _ in curve)}:
        for end in {low if t <= middle else high, high if t >= middle else low}:
            lost = sum(slope * abs(value_at(curve, t) - value_at(curve, end)) for curve, slope in others)
            if value_at(own, end) - value_at(own, t) < lost:
                return False
    return True


def table(parts, group):
    """The largest value at corners, and as an equation: inputs as a mask, parity, and what is lost if it fails."""
    if len(parts) > 8:
        return None
    order, found = sorted(parts), {}
    for corner in itertools.product((0, 1), repeat=len(parts)):
        t = sum(parts[index][-bit][1] for index, bit in zip(order, corner, strict=True))
        found[corner] = sum(w * max(c * t + b, Fraction(0)) for w, c, b in group)
    best = max(found.values())
    parities = {sum(corner) % 2 for corner, value in found.items() if value == best}
    if len(parities) > 1:
        return best, None
    (parity,) = parities
    second = max(value for corner, value in found.items() if sum(corner) % 2 != parity)
    return best, sum(1 << index for index in order), parity, best - second


def contradiction(equations):
    """What is lost, at least, since equations modulo 2 can't hold all at once; 0 if they can."""
    pivots = {}
    for mask, parity, loss in equations:
        while mask and mask.bit_length() in pivots:
            other, others, least = pivots[mask.bit_length()]
            mask, parity, loss = mask ^ other, parity ^ others, min(loss, least)
        if not mask and parity:
            return loss
        if mask:
            pivots[mask.bit_length()] = mask, parity, loss
    return Fraction(0)


def bounds(layers, box):
    """Numbers between which the output lies on the whole box, over the reals."""
    simple = joined(layers)
    ((low, high),) = ranges(simple, box)[-1]
    found = corner_bound(simple, box)
    return low, high if found is None else min(high, found)


def margin_of(low, high, unsafe):
    """How far all numbers from `low` to `high` stay off what is unsafe; 0 or less if they don't."""
    return min(end - high if sense == ">=" else low - end for sense, end in unsafe)


def beyond(value, unsafe):
    """How far a number is beyond an end of what is unsafe; negative if it is safe."""
    return max(value - end if sense == ">=" else end - value for sense, end in unsafe)


def is_float(number):
    """Whether float32 holds a number."""
    try:
        return Fraction(*struct.unpack("<f", struct.pack("<f", float(number)))) == number
    except OverflowError:
        return False


# Files.


def fields(data):
    """The fields of a protocol buffer: `(number, value)`, integers or bytes."""
    place = 0

    def integer():
        nonlocal place
        total = shift = 0
        while True:
            byte = data[place]
            place, total, shift = place + 1, total | (byte & 127) << shift, shift + 7
            need(shift <= 70, "an integer is too long")
            if byte < 128:
                return total

    while place < len(data):
        tag = integer()
        if tag & 7 == 0:
            yield tag >> 3, integer()
            continue
        need(tag & 7 in (1, 2, 5), "a field of unknown kind")
        size = integer() if tag & 7 == 2 else {1: 8, 5: 4}[tag & 7]
        need(place + size <= len(data), "a file is cut off")
        yield tag >> 3, data[place : place + size]
        place += size


def all_of(message, number):
    return [value for found, value in message if found == number]


def tensor(data):
    """The name and rows of a tensor of float32."""
    message = list(fields(data))
    need({number for number, _ in message} <= {1, 2, 8, 9} and all_of(message, 2) == [1], "weights must be raw float32")
    (raw,), (name,) = all_of(message, 9), all_of(message, 8)
    shape = all_of(message, 1)
    need(all(type(size) is int for size in shape) and len(shape) in (1, 2), "weights must be matrices or vectors")
    values = [Fraction(value) for value in struct.unpack(f"<{len(raw) // 4}f", raw)]
    need(len(values) == shape[0] * shape[-1] if len(shape) == 2 else len(values) == shape[0], "weights of another size")
    return name, values if len(shape) == 1 else [values[at : at + shape[1]] for at in range(0, len(values), shape[1])]


def network_of(data):
    """The layers of an ONNX model: a chain of Gemm, MatMul and Relu."""
    model = list(fields(data))
    (graph,) = (list(fields(graph)) for graph in all_of(model, 7))
    need(not all_of(model, 25) and not all_of(graph, 15), "only plain graphs are known")
    tensors, nodes = dict(map(tensor, all_of(graph, 5))), [list(fields(node)) for node in all_of(graph, 1)]
    (value,), (last,) = ([all_of(list(fields(end)), 1)[0] for end in all_of(graph, number)] for number in (11, 12))
    layers, is_linear, size = [], False, 0
    for node in nodes:
        inputs, (output,), (kind,) = all_of(node, 1), all_of(node, 2), all_of(node, 4)
        need(inputs[0] == value and not all_of(node, 7), "nodes must be a chain")
        attributes = {all_of(found, 1)[0]: all_of(found, 3) for found in (list(fields(a)) for a in all_of(node, 5))}
        need(attributes == ({b"transB": [1]} if kind == b"Gemm" else {}), "a node has other attributes")
        if kind == b"Relu":
            need(is_linear and len(inputs) == 1, "a ReLU must follow weights")
        else:
            need(kind in (b"Gemm", b"MatMul") and not is_linear, f"{kind!r} isn't known here")
            matrix = tensors[inputs[1]]
            matrix = matrix if kind == b"Gemm" else list(zip(*matrix, strict=True))
            biases = tensors[inputs[2]] if kind == b"Gemm" else [Fraction(0)] * len(matrix)
            need(len(biases) == len(matrix) and len(inputs) == 2 + (kind == b"Gemm"), "a node of other inputs")
            size = len(matrix[0]) if not layers else size
            need(not layers or len(matrix[0]) == len(layers[-1][0]), "layers don't fit")
            layers.append(([{col: w for col, w in enumerate(row) if w} for row in matrix], biases))
        is_linear, value = kind != b"Relu", output
    need(is_linear and value == last, "the last node must be linear and the output")
    return layers, size


def number(text):
    """A decimal or a fraction, not so long that it fills the memory."""
    need(re.fullmatch(r"-?\d{1,999}([./]\d{1,999})?", text, re.ASCII), f"{text!r:.50} isn't a number")
    return Fraction(text)


def property_of(text, size):
    """The box and what is unsafe, from a property in VNN-LIB 1.0: `(low, high)` an input, and `(sense, end)` pairs."""
    tokens = re.findall(r"[()]|[^\s()]+", re.sub(r";.*", "", text))
    stack = [[]]
    for token in tokens:
        if token == "(":
            stack.append([])
        elif token == ")":
            need(len(stack) > 1, "a property has a bracket too many")
            closed = stack.pop()
            stack[-1].append(closed)
        else:
            stack[-1].append(token)
    need(len(stack) == 1, "a property lacks a bracket")
    sides, unsafe = {}, None
    for kind, *rest in stack[0]:
        if kind == "declare-const":
            continue
        ((head, *arguments),) = rest
        need(kind == "assert", f"{kind!r} isn't known in a property")
        if head in ("<=", ">=") and arguments[0].startswith("X_"):
            need((arguments[0], head) not in sides, f"{arguments[0]} has two ends")
            sides[arguments[0], head] = number(arguments[1])
            continue
        need(unsafe is None, "a property has several assertions about outputs")
        options = [option for conjunction in arguments for option in only(conjunction)] if head == "or" else [rest[0]]
        unsafe = [(sense, number(end)) for sense, name, end in options if name == "Y_0" and sense in ("<=", ">=")]
        need(unsafe and len(unsafe) == len(options), "what is unsafe must be ends of Y_0")
    need(len(sides) == 2 * size, "every input needs both its ends")
    box = [(sides[f"X_{index}", ">="], sides[f"X_{index}", "<="]) for index in range(size)]
    need(all(low <= high for low, high in box), "a box is empty")
    return box, unsafe


def only(conjunction):
    """The one member of `(and member)`."""
    head, *members = conjunction
    need(head == "and" and len(members) == 1, "each way to be unsafe must be one end")
    return members


def recheck(folder, witnesses=None):
    """What is proved of a folder, as text."""
    folder = Path(folder)
    answer = json.loads(read(folder / "answer.json"))
    files = {name: read(folder / name) for name in ("model.onnx", "property.vnnlib")}
    for name, content in files.items():
        need(answer["sha256"][name] == hashlib.sha256(content).hexdigest(), f"{name} isn't the file of the answer")
    layers, size = network_of(files["model.onnx"])
    box, unsafe = property_of(files["property.vnnlib"].decode(), size)
    need(len(layers[-1][0]) == 1, "the network must have one output")
    numbers = [number for interval in box for number in interval] + [end for _, end in unsafe]
    need(all(map(is_float, numbers)), "all ends must be floats")
    need(answer["answer"] in ("holds", "fails"), f"the answer is {answer['answer']!r}")
    if answer["answer"] == "holds":
        margin = margin_of(*bounds(layers, box), unsafe)
    else:
        place = (folder if witnesses is None else Path(witnesses) / folder.name) / "witness.json"
        need(place.is_file(), "it fails, and witness.json isn't there: name the folder of witnesses")
        witness = [number(x) for x in json.loads(read(place))["witness"]]
        need(
            len(witness) == size and all(low <= x <= high for x, (low, high) in zip(witness, box, strict=True)),
            "the witness isn't in the box",
        )
        need(all(map(is_float, witness)), "the witness must be floats")
        margin = beyond(exact(layers, witness)[0], unsafe)
    off = rounding(layers, box)
    need(margin > off, f"that it {answer['answer']} isn't proved")
    need(number(answer["margin"]) == margin, "the margin is another one")
    return f"{answer['answer']}, by {float(margin):g}; runs in float32 are off by less than {float(off):.2g}"


def read(path):
    with open(path, "rb") as file:
        content = file.read(LARGEST + 1)
    need(len(content) <= LARGEST, f"{path.name} is too large")
    return content


def main(folders, witnesses=None):
    """Check folders, a line each; 0 if all are accepted."""
    verdicts = []
    for folder in folders:
        try:
            verdict, text = "accepted", recheck(folder, witnesses)
        except Exception as error:  # whatever is wrong with its files
            verdict, text = "rejected", str(error) if isinstance(error, Refused) else f"malformed ({error!r:.80})"
        verdicts.append(verdict)
        print(ascii(f"{verdict}: {folder}: {text}")[1:-1])
    return int(not verdicts or "rejected" in verdicts)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
