"""Level by level: one level of a fractal's network is proved by boxes, all levels by induction.

The network is cut where few numbers pass from level to level. Along a way of a domain point through cells let `z`
be its coordinates in the cell of the last level, `C z + c` what passes on for it, and `y` the floats that do. Then
by induction: either

    alive:  |y - (C z + c)| <= e,  with |z| <= 1 - inner   (e a bound a number, and one of the 2-norm), or
    dead:   y is one of a few vectors, exactly,

and the next level does, shown by boxes on its stored weights for all `z`:

1.  In cell `i`, `u = F_i^-1 z`: the next numbers are `C' S u + c'` up to `e' = |J| e + sum_s |J_s| r_s + match`.
    There `r_s` is what the sums of stage `s` round, and `match` bounds what the level over the reals makes of
    `C z + c` itself less `C' S u + c'`. A ReLU makes of a change of its sum the change times a slope between 0 and
    1, which is known where all that may come in is on one side of 0; `J` and `J_s` are the level's derivatives by
    its inputs and by the sums of the stage with such slopes, one choice for all. `S` is diagonal with entries ±1,
    of a group under which the system is the same, so that `S u` stays and leaves as `u` does.
2.  Where `z` leaves all cells by `outer` the next numbers are dead, or those after them.
3.  Dead vectors lead to dead ones.

The last numbers must be within the claim of 1 where 1. is asked, and of 0 where 2. and 3. are. Levels with equal
weights are proved once, for the largest `e`.
"""

import numpy as np

from ...domains import Fractal
from ...systems.exact import exact_inverses
from .cells import Cells
from .forms import Forms, Runner, Ways, on_boxes, roundoff
from .parts import Part, Relation, Sent, difference, parts_of
from .search import Judged, Undecided, search
from .slopes import Derivatives, Drift, Step, derivatives

_DOUBLE, _ROOM = 2.0**-53, 1 + 2.0**-40
_BOXES, _DEAD, _TRIES = 30_000, 8, 8


class Levels:
    """The proof of one network."""

    def __init__(self, domain: Fractal, runner: Runner, allowed: float):
        self.domain, self.runner, self.allowed = domain, runner, allowed
        self.size, self.stay = domain.size, (1 - domain.inner) * (1 + 4 * _DOUBLE)
        system = domain.system
        inverses = exact_inverses(system.linear, system.offsets)
        self.inverses = [np.array([[float(value) for value in row] for row in matrix]) for matrix, _ in inverses]
        self.parts, self.looks = parts_of(runner, domain)
        self.count, self.worst = 0, 0.0
        self.signs: set[tuple[int, ...]] = set()
        self.dead: list[tuple[int, bytes]] = []
        self.slopes: dict[tuple, Derivatives | None] = {}

    def prove(self, radius: float) -> None:
        """All levels, for inputs off by up to `radius`.

        Raises:
            Undecided: no proof.
        """
        relation = Relation(np.eye(self.size), np.zeros(self.size))
        drift = Drift(np.full(self.size, radius), radius * self.size**0.5 * (1 + 2.0**-48))
        last, index = len(self.parts) - 1, 0
        while index < last:
            after = self._passed(self.parts[index], relation)
            stop = index + 1
            # A run of equal levels, which are proved at once.
            while stop < last and self.parts[stop].key == self.parts[index].key and after.key == relation.key:
                stop += 1
            drift = self._run(index, stop, relation, after, drift)
            relation, index = after, stop
        self._ended(last, relation, drift)
        self._symmetric()
        self._buried()

    def _run(self, index: int, stop: int, relation: Relation, after: Relation, drift: Drift) -> Drift:
        """The drift behind equal levels, from the one before them."""
        largest = drift
        for _ in range(_TRIES):
            step = self._kept(self.parts[index], relation, after, largest)
            entering, found = [], drift
            for _ in range(index, stop):
                entering.append(found)
                found = step.of(found)
            each, norm = np.max([before.each for before in entering], axis=0), max(before.norm for before in entering)
            if np.all(each <= largest.each) and norm <= largest.norm:
                break
            largest = Drift(each * (1 + 2.0**-10), norm * (1 + 2.0**-10))
        else:
            raise Undecided(f"at level {stop} floats may be off by too much")
        self._left(index, stop, relation, largest)
        return found

    def _kept(self, part: Part, relation: Relation, after: Relation, drift: Drift) -> Step:
        """What is passed on for points that stay in a cell."""
        steps = []
        for cell in range(self.domain.system.num_maps):
            signs = self._signs(part, relation, after, cell)
            self.signs.add(signs)
            wanted = after.matrix * signs
            nominal, sent = self._nominal(relation, wanted, cell), self._in_cell(relation, cell)

            def judge(low: np.ndarray, high: np.ndarray, sent=sent, wanted=wanted, nominal=nominal) -> Judged:
                forms, ways = self._through(part, sent, low, high, drift)
                exact, _ = self._through(part, sent, low, high, None)
                match = difference(exact, wanted, after.shift, low, high)
                found = [self._slopes(part, states) for states in zip(*ways.states, strict=True)]
                fine = np.all(np.isfinite(forms.error + match), axis=1)
                for at, slope in enumerate(found):
                    fine[at] &= slope is not None and bool(np.all(slope.largest @ np.abs(relation.matrix) <= nominal))
                    if slope is not None and fine[at]:
                        steps.append(slope.step([made[at] for made in ways.rounded], match[at]))
                return Judged(fine, np.full(len(low), -1), low[:, 0], ways.shares[:, : self.size])

            self._search(judge, self.stay)
        return Step.joined(steps)

    def _search(self, judge, reach: float) -> None:
        side = np.full((1, self.size), reach)
        self.count += search(-side, side, judge, _BOXES, (self.domain.inner + self.domain.outer) / 256)

    def _in_cell(self, relation: Relation, cell: int) -> Sent:
        """What passes for `F u`."""
        linear, offset = (part[cell].astype(np.longdouble) for part in self.domain.system.maps)
        sizes = np.abs(relation.matrix) @ np.abs(linear)
        room = np.abs(relation.matrix) @ np.abs(offset) + np.abs(relation.shift) + sizes.sum(axis=1)
        return Sent(relation.matrix @ linear, relation.matrix @ offset + relation.shift, room)

    def _through(
        self, part: Part, sent: Sent, low: np.ndarray, high: np.ndarray, drift: Drift | None
    ) -> tuple[Forms, Ways]:
        """A level on what passes for boxes, up to a drift; without one in extended precision if need be."""
        runner = self.runner if drift else self.runner.wide
        kind = runner.stages[0].weights.dtype
        boxes = on_boxes(low.astype(kind), high.astype(kind))
        matrix, shift = sent.matrix.astype(kind), sent.shift.astype(kind)
        # At most d products of d products, with |z| and |u| up to 1 + 2^-40; and both were rounded to this precision.
        own = ((2 * self.size + 10) * roundoff(matrix) * sent.room * _ROOM).astype(kind)
        noise, slopes = np.zeros(0), boxes.slopes @ matrix.T
        if drift:
            kept = drift.each > 0
            more = np.broadcast_to(np.diag(drift.each)[kept], (len(low), int(kept.sum()), len(kept)))
            noise, slopes = drift.norm / drift.each[kept], np.concatenate([slopes, more], axis=1)
        radius = np.broadcast_to(own, (len(low), len(own)))
        center, ends = boxes.center @ matrix.T + shift, (-np.inf, np.inf)
        forms = Forms.of(center, slopes, radius, np.zeros_like(radius), ends, noise)
        return runner.run(forms, part.first, part.stop)

    def _slopes(self, part: Part, states: tuple[np.ndarray, ...]) -> Derivatives | None:
        """All derivatives of a level; `None` where too much is open."""
        key = part.key, tuple(state.tobytes() for state in states)
        if key not in self.slopes:
            self.slopes[key] = derivatives(self.runner.stages[part.first : part.stop], states)
        return self.slopes[key]

    def _nominal(self, relation: Relation, wanted: np.ndarray, cell: int) -> np.ndarray:
        """The moduli of the derivative by `z` that a level should have, with room for rounded weights."""
        return np.abs(wanted @ self.inverses[cell]) * (1 + 2.0**-8) + 2.0**-8

    def _passed(self, part: Part, relation: Relation) -> Relation:
        """What the next level gets, guessed from a few points of the first cell; rounded where that is near."""
        found = self._probed(part, relation, 0)
        near = np.round(np.ldexp(found, 16)) * 2.0**-16
        found = np.where(np.abs(near - found) < 2.0**-19, near, found)
        return Relation(found[:, 1:].copy(), found[:, 0].copy())

    def _probed(self, part: Part, relation: Relation, cell: int) -> np.ndarray:
        """Value at the center of a cell and derivatives there, by its coordinates, over the reals up to rounding."""
        sent = self._in_cell(relation, cell)
        steps = np.concatenate([np.zeros((1, self.size)), np.eye(self.size) / 8, -np.eye(self.size) / 8])
        values = (steps @ sent.matrix.T + sent.shift).astype(float)
        for stage in self.runner.stages[part.first : part.stop]:
            values = stage.values(values)
        ahead, back = values[1 : 1 + self.size], values[1 + self.size :]
        return np.concatenate([values[:1], (ahead - back) * 4]).T

    def _signs(self, part: Part, relation: Relation, after: Relation, cell: int) -> tuple[int, ...]:
        """The signs with which a cell's coordinates are passed on."""
        slopes = self._probed(part, relation, cell)[:, 1:]
        same, other = (np.abs(slopes - sign * after.matrix).max(axis=0) for sign in (1, -1))
        return tuple(np.where(same <= other, 1, -1).tolist())

    def _left(self, index: int, stop: int, relation: Relation, drift: Drift) -> None:
        """Points that leave are dead behind the level or the one after it."""
        # The last one goes on in another part, unless that is like the others.
        alike = stop < len(self.parts) - 1 and self.parts[index + 1].key == self.parts[stop].key
        groups = [range(index, stop)] if alike else [range(index, stop - 1), range(stop - 1, stop)]
        for group in groups:
            found = self._dying(group[0], relation, drift) if group else set()
            self.dead += [(at + later, vector) for at in group for later, vector in found]

    def _dying(self, index: int, relation: Relation, drift: Drift) -> set[tuple[int, bytes]]:
        """The dead vectors that points lead to which leave at a level, and so many levels later."""
        found: set[tuple[int, bytes]] = set()
        cells = Cells(self.domain, 1, 1.0 if index == 0 else self.stay)
        sent = Sent.as_it_is(relation)

        def judge(low: np.ndarray, high: np.ndarray) -> Judged:
            possible = cells.possible(low, high)
            kept = np.flatnonzero(possible.zero)
            forms, ways = self._through(self.parts[index], sent, low[kept], high[kept], drift)
            fine, shares = self._died(index, forms, 1, found), ways.shares
            again = np.flatnonzero(~fine)
            if len(again) and index + 1 < len(self.parts):
                part = self.parts[index + 1]
                forms, more = self.runner.run(forms.rows(again), part.first, part.stop)
                fine[again] = self._died(index + 1, forms, 2, found)
                shares[again] += more.shares
            done, all_shares = np.ones(len(low), bool), np.zeros_like(low)
            done[kept], all_shares[kept] = fine, shares[:, : self.size]
            return Judged(done, possible.axis, possible.place, all_shares)

        self._search(judge, cells.start)
        return found

    def _died(self, index: int, forms: Forms, later: int, found: set[tuple[int, bytes]]) -> np.ndarray:
        """Which boxes led to one vector behind a level, or to about 0 at the end."""
        if index == len(self.parts) - 1:
            return self._within(forms, 0.0)
        constant = (np.abs(forms.slopes).sum(axis=1) + forms.radius + forms.error == 0).all(axis=1)
        found |= {(later, vector.tobytes()) for vector in np.unique(forms.center[constant].astype(float) + 0.0, axis=0)}
        if len(found) > _DEAD:
            raise Undecided("points that leave go on in too many ways")
        return constant

    def _within(self, forms: Forms, wanted: float) -> np.ndarray:
        """Which outputs are as they should be."""
        low, high = forms.float_ends()
        off = np.maximum(np.abs(low[:, 0] - wanted), np.abs(high[:, 0] - wanted)) * (1 + 2.0**-50)
        fine = off <= self.allowed
        self.worst = max(self.worst, float(off[fine].max(initial=0.0)))
        return fine

    def _ended(self, last: int, relation: Relation, drift: Drift) -> None:
        """The last level gives 1 where points stay; and 0 where they leave, if it looks."""
        part, looks = self.parts[last], self.looks
        for cell in range(self.domain.system.num_maps if looks else 1):
            sent = self._in_cell(relation, cell) if looks else Sent.as_it_is(relation)

            def judge(low: np.ndarray, high: np.ndarray, sent=sent) -> Judged:
                forms, ways = self._through(part, sent, low, high, drift)
                return Judged(self._within(forms, 1.0), np.full(len(low), -1), low[:, 0], ways.shares[:, : self.size])

            self._search(judge, self.stay)
        if looks:
            self._dying(last, relation, drift)

    def _buried(self) -> None:
        """Dead vectors lead to dead ones, and to 0 at the end."""
        pending, seen, known = list(self.dead), set(self.dead), {}
        while pending:
            index, vector = pending.pop()
            if index == len(self.parts):
                if not self._within(Forms.constant(np.frombuffer(vector)), 0.0).all():
                    raise Undecided("points that leave don't end at 0")
                continue
            part = self.parts[index]
            if (part.key, vector) not in known:
                forms, _ = self.runner.run(Forms.constant(np.frombuffer(vector)), part.first, part.stop)
                found: set[tuple[int, bytes]] = set()
                if not self._died(index, forms, 1, found).all():
                    raise Undecided(f"points that leave may come back at level {index + 1}")
                known[part.key, vector] = found
            for _, after in known[part.key, vector]:
                if (index + 1, after) not in seen:
                    seen.add((index + 1, after))
                    pending.append((index + 1, after))

    def _symmetric(self) -> None:
        """The signs with which coordinates were passed on don't change the system."""
        group = {(1,) * self.size}
        while True:
            more = {tuple(a * b for a, b in zip(one, other, strict=True)) for one in group for other in self.signs}
            if more <= group:
                break
            group |= more
        linear, offsets = self.domain.system.maps
        places = {
            (matrix.tobytes(), offset.tobytes()) for matrix, offset in zip(linear + 0.0, offsets + 0.0, strict=True)
        }
        for signs in group:
            for matrix, offset in zip(linear, offsets, strict=True):
                # S F_i = F_k S' for some k and some S' of the group.
                moved = np.array(signs)[:, None] * matrix
                if not any(
                    ((moved * other + 0.0).tobytes(), (offset * signs + 0.0).tobytes()) in places for other in group
                ):
                    raise Undecided("coordinates are passed on in a way that changes the fractal")
