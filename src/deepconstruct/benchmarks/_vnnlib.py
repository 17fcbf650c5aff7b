"""Properties as VNN-LIB has them: a box of inputs, and which outputs must not come."""

from decimal import Context, Decimal
from fractions import Fraction

from ._problem import Problem

_CONTEXT = Context(prec=200)


def decimal(value: Fraction) -> str:
    """A number whose denominator is a power of two, exactly.

    Raises:
        ValueError: another denominator.
    """
    if value.denominator & (value.denominator - 1):
        raise ValueError(f"{value} has no finite decimal that a file would hold")
    text = format(_CONTEXT.divide(Decimal(value.numerator), Decimal(value.denominator)), "f")
    return text if "." in text else f"{text}.0"


def property_text(problem: Problem, title: str) -> str:
    """The file in version 1.0, which competitions have: all its assertions hold just at counterexamples."""
    names = [f"X_{index}" for index in range(len(problem.low))]
    declared = [f"(declare-const {name} Real)" for name in [*names, "Y_0"]]
    return _file(problem, title, declared, names, "Y_0")


def property_text_2(problem: Problem, title: str) -> str:
    """The same in version 2.0 of the format."""
    names = [f"X[0,{index}]" for index in range(len(problem.low))]
    declared = [
        "(vnnlib-version <2.0>)",
        "(declare-network network",
        f"    (declare-input X float32 [1,{len(names)}])",
        "    (declare-output Y float32 [1,1])",
        ")",
    ]
    return _file(problem, title, declared, names, "Y[0,0]")


def _file(problem: Problem, title: str, declared: list[str], names: list[str], output: str) -> str:
    lines = [f"; {title}", "; An input in the box with such an output is a counterexample.", "", *declared, ""]
    for name, low, high in zip(names, problem.low, problem.high, strict=True):
        lines += [f"(assert (>= {name} {decimal(low)}))", f"(assert (<= {name} {decimal(high)}))"]
    sides = [f"({sense} {output} {decimal(end)})" for sense, end in problem.unsafe]
    either = sides[0] if len(sides) == 1 else f"(or {' '.join(f'(and {side})' for side in sides)})"
    return "\n".join([*lines, "", f"(assert {either})", ""])


def assertions_text(problem: Problem, name: str) -> str:
    """A program in C that asserts the property of the network `name`, for verifiers of C and for points."""
    size, unsafe = len(problem.low), " || ".join(f"y[0] {s} {float(e).hex()}" for s, e in problem.unsafe)
    ends = [", ".join(f"{float(value).hex()}f" for value in row) for row in (problem.low, problem.high)]
    return f"""/* The property: no input of the box gives an unsafe output.

   With -DVERIFIER inputs are left open, as verifiers of C have them. Else they are the arguments, and the program
   exits with 0 if the property holds there, with 1 if it doesn't, and with 2 for inputs off the box. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include "{name}.h"

static const float low[{size}] = {{{ends[0]}}};
static const float high[{size}] = {{{ends[1]}}};

#ifdef VERIFIER
extern float __VERIFIER_nondet_float(void);
extern void __VERIFIER_assume(int condition);

int main(void) {{
    float x[{size}], y[1];
    for (int i = 0; i < {size}; i++) {{
        x[i] = __VERIFIER_nondet_float();
        __VERIFIER_assume(x[i] >= low[i] && x[i] <= high[i]);
    }}
    {name}(x, y);
    assert(!({unsafe}));
    return 0;
}}
#else
int main(int count, char **arguments) {{
    float x[{size}], y[1];
    if (count != {size} + 1)
        return 2;
    for (int i = 0; i < {size}; i++) {{
        x[i] = strtof(arguments[i + 1], NULL);
        if (!(x[i] >= low[i] && x[i] <= high[i]))
            return 2;
    }}
    {name}(x, y);
    printf("%.9g\\n", (double)y[0]);
    return {unsafe} ? 1 : 0;
}}
#endif
"""
