"""Made-up events of declared tables, in the order in which they are sent.

1. Time advances in equal steps of 1 / rate. In each step one event is sent.
2. If something is due, a second copy of an event or an event that follows another one, it is sent.
3. Otherwise a new event is made, for a table whose events follow no others. It belongs to a new or a present session,
   and happened a moment before it is sent, or hours before if it is late.
4. When a good event is sent for the first time, it is decided whether and when others follow it (as a click follows its
   impression). Any event may be sent a second time.
5. A malformed event is a good event into which a fault was put (`faults`).

All choices come from one `random.Random(seed)`, and only from its `random()`: see `values`.
"""

from __future__ import annotations

import heapq
import itertools
import json
import random
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from datawarehouse.definition.tables import Column, StreamingInputTable
from datawarehouse.errors import BadRequest
from datawarehouse.generator.faults import Literals, event_text, spoiler
from datawarehouse.generator.relations import Follows, id_columns, relations
from datawarehouse.generator.values import Draw, is_time, maker, time_form, unique_id, whole, with_nulls
from datawarehouse.generator.words import CAMPAIGNS, OF_A_SESSION

GOOD, MALFORMED = "good", "malformed"

_SESSIONS_MAX = 1000  # open at the same time
_ON_THE_WAY_MS = (50, 500)  # the time from an event to its sending
_LATE_MS = (3_600_000, 48 * 3_600_000)
_FOLLOWS_AFTER_MS = (1000, 30_000)
_AGAIN_AFTER_MS = (1000, 120_000)
_FOLLOW_RATE = 0.075
_FOLLOW_RATES = {json.dumps(name): 0.05 + 0.01 * place for place, name in enumerate(CAMPAIGNS)}
_BY_POSITION = {str(position): 2 / (1 + position / 4) for position in range(1, 9)}  # the first is seen most
_INSTANT_MAX_MS = 253_370_764_800_000  # 9999-01-01, since later timestamps cannot be stored


@dataclass(frozen=True, slots=True)
class GeneratedEvent:
    """An event to send.

    partition_key: the same for all events of a session. kind: "good" if conversion stores it, "malformed" if it
    rejects it. is_late: its time is hours before it is sent. is_duplicate: the same bytes were sent before.
    """

    table: str
    partition_key: str
    data: bytes
    kind: str
    is_late: bool
    is_duplicate: bool


@dataclass(frozen=True, slots=True)
class Choice:
    """Values that go together: `{"campaign": "tents", "query": "tent 2 person"}`.

    values: by column name, for columns of these names in any table; they must fit the columns' types. weight: how often
    it is chosen, compared with the other choices. follow_rate: the share, from 0 to 1, of events with this choice that
    are followed by an event of another table, for each such table; None is the usual rate. An event that follows has
    the same choice.
    """

    values: Mapping[str, str | int | float | bool]
    weight: float = 1.0
    follow_rate: float | None = None


@dataclass(slots=True)
class _Session:
    key: str
    values: dict[str, str]  # by column and type, as JSON text


@dataclass(frozen=True, slots=True)
class _Choice:
    values: dict[str, str]  # as JSON text
    follow_rate: float | None


@dataclass(frozen=True, slots=True)
class _Origin:
    """The data from which an event is made. late_ms: how late it is. parent: the values of the event that it
    follows."""

    number: int
    happened_ms: int
    late_ms: int
    session: _Session
    choice: _Choice | None
    parent: dict[str, str | None]


_Fill = Callable[[_Origin], str | None]


@dataclass(frozen=True, slots=True)
class _Plan:
    """How events of one table are made."""

    name: str
    columns: tuple[Column, ...]
    fills: tuple[_Fill, ...]
    spoil: Callable[[Literals], bytes]
    has_time: bool
    followers: list[_Plan] = field(default_factory=list)


def generate(
    tables: Iterable[StreamingInputTable],
    *,
    seed: int,
    start_ms: int,
    rate: float,
    malformed: float = 0.0,
    late: float = 0.0,
    duplicates: float = 0.0,
    sessions: float = 5.0,
    choices: Sequence[Choice] = (),
) -> Iterator[tuple[int, GeneratedEvent]]:
    """An endless sequence of (instant in ms at which the event is sent, event); instants never decrease.

    The same arguments give the same bytes, on every machine and every Python from 3.11 on.

    rate: events a second, for all tables and second copies together; start_ms: the instant of the first event.
    malformed: the share of events that conversion rejects. late: the share of events whose time columns are 1 to 48
    hours earlier; tables without a time column have none, and an event that follows a late one is as late. duplicates:
    the share of events that are sent a second time, 1 s to 2 minutes later. sessions: how many events a session has on
    average, without those that follow others. choices: one of them is chosen for each event.

    Raises BadRequest for an argument that is not valid.
    """
    given = list(tables)
    if choices and not sum(choice.weight for choice in choices) > 0:
        raise BadRequest("The weights of the choices add up to 0; valid are numbers, one of them above 0.")
    _check(given, start_ms, rate, sessions, malformed=malformed, late=late, duplicates=duplicates)
    return _events(given, random.Random(seed).random, start_ms, rate, (malformed, late, duplicates), sessions, choices)


def _events(
    tables: Sequence[StreamingInputTable],
    draw: Draw,
    start_ms: int,
    rate: float,
    shares: tuple[float, float, float],
    sessions: float,
    choices: Sequence[Choice],
) -> Iterator[tuple[int, GeneratedEvent]]:
    malformed, late, duplicates = shares
    roots = _plans(tables, choices, draw)
    choose = _chooser(choices, draw)
    session_of = _sessions(sessions, draw)
    due: list[tuple[int, int, GeneratedEvent | tuple[_Plan, _Origin]]] = []  # a heap; the second number breaks ties
    waiting, number = itertools.count(), itertools.count(1)
    for step in itertools.count():
        now = start_ms + int(step * 1000 / rate)
        if due and due[0][0] <= now:
            _, _, what = heapq.heappop(due)
            if isinstance(what, GeneratedEvent):
                yield now, what
                continue
            plan, origin = what
        else:
            plan = roots[int(draw() * len(roots))]
            late_ms = whole(draw, *_LATE_MS) if late and draw() < late else 0
            happened = now - whole(draw, *_ON_THE_WAY_MS) - late_ms
            origin = _Origin(next(number), happened, late_ms, session_of(), choose(), {})
        literals: Literals = [fill(origin) for fill in plan.fills]
        if malformed and draw() < malformed:
            data, kind = plan.spoil(literals), MALFORMED
        else:
            data, kind = event_text(plan.columns, literals).encode(), GOOD
            for follower in plan.followers:
                if draw() < _follow_rate(plan.columns, literals, origin.choice):
                    after = whole(draw, *_FOLLOWS_AFTER_MS)
                    parent = dict(zip((column.name for column in plan.columns), literals, strict=True))
                    happened = origin.happened_ms + after
                    next_one = _Origin(next(number), happened, origin.late_ms, origin.session, origin.choice, parent)
                    heapq.heappush(due, (now + after, next(waiting), (follower, next_one)))
        is_late = bool(origin.late_ms) and plan.has_time
        if duplicates and draw() < duplicates:
            soon = draw()
            first, last = _AGAIN_AFTER_MS
            after = first + int((last - first) * soon * soon * soon)  # most of them soon
            again = GeneratedEvent(plan.name, origin.session.key, data, kind, is_late, True)
            heapq.heappush(due, (now + after, next(waiting), again))
        yield now, GeneratedEvent(plan.name, origin.session.key, data, kind, is_late, False)


def _check(tables: Sequence[StreamingInputTable], start_ms: int, rate: float, sessions: float, **shares: float) -> None:
    if not tables:
        raise BadRequest("There is no table to generate events for; give one or several streaming input tables.")
    if not rate > 0:
        raise BadRequest(f"The rate is {rate!r}; valid is a number of events a second above 0.")
    if not sessions >= 1:
        raise BadRequest(f"A session has {sessions!r} events on average; valid is a number from 1 on.")
    if not 0 <= start_ms <= _INSTANT_MAX_MS:
        raise BadRequest(f"The first instant is {start_ms!r}; valid are milliseconds from 0 to {_INSTANT_MAX_MS}.")
    for name, share in shares.items():
        if not 0 <= share <= 1:
            raise BadRequest(f"The share of {name} events is {share!r}; valid is a number from 0 to 1.")


# -- sessions and choices


def _sessions(events: float, draw: Draw) -> Callable[[], _Session]:
    """Gives the session of the next event: a new one with a probability of 1 / events."""
    going_on: list[_Session] = []

    def session() -> _Session:
        if going_on and draw() * events >= 1:
            return going_on[int(draw() * len(going_on))]
        key = f"{int(draw() * 2**52):013x}"
        started = _Session(key, {"session_id string": f'"{key}"'})
        if len(going_on) < _SESSIONS_MAX:
            going_on.append(started)
        else:
            going_on[int(draw() * _SESSIONS_MAX)] = started
        return started

    return session


def _chooser(choices: Sequence[Choice], draw: Draw) -> Callable[[], _Choice | None]:
    if not choices:
        return lambda: None
    ends = list(itertools.accumulate(choice.weight for choice in choices))
    made = [
        _Choice({name: json.dumps(value, ensure_ascii=False) for name, value in c.values.items()}, c.follow_rate)
        for c in choices
    ]

    def choose() -> _Choice:
        return made[min(bisect_right(ends, draw() * ends[-1]), len(made) - 1)]

    return choose


def _follow_rate(columns: Sequence[Column], literals: Literals, choice: _Choice | None) -> float:
    """The probability that an event is followed: by its choice or its campaign, and larger if its position is in
    front."""
    rate, factor = _FOLLOW_RATE, 1.0
    for column, literal in zip(columns, literals, strict=True):
        if column.name == "campaign" and literal is not None:
            rate = _FOLLOW_RATES.get(literal, _FOLLOW_RATE)
        elif column.name == "position" and literal is not None:
            factor = _BY_POSITION.get(literal, 1.0)
    if choice and choice.follow_rate is not None:
        rate = choice.follow_rate
    return rate * factor


# -- what a table's columns are filled from


def _plans(tables: Sequence[StreamingInputTable], choices: Sequence[Choice], draw: Draw) -> list[_Plan]:
    """The plans of the tables whose events follow no others; the plans of the other tables are among their
    followers."""
    by_name = {table.name: table for table in tables}
    follows = relations(list(by_name.values()))
    chosen = {name for choice in choices for name in choice.values}
    referred = {(f.parent, f.referred) for f in follows.values()}
    plans = {name: _plan(table, follows.get(name), by_name, chosen, referred, draw) for name, table in by_name.items()}
    for name, relation in follows.items():
        plans[relation.parent].followers.append(plans[name])
    return [plan for name, plan in plans.items() if name not in follows]


def _plan(
    table: StreamingInputTable,
    follows: Follows | None,
    tables: Mapping[str, StreamingInputTable],
    chosen: set[str],
    referred: set[tuple[str, str]],
    draw: Draw,
) -> _Plan:
    ids = [name for name in id_columns(table.name) if name in {column.name for column in table.columns}][:1]
    times = [column.name for column in table.columns if is_time(column.name, column.type)]
    shared = set(tables[follows.parent].columns) if follows else set()
    fills: list[_Fill] = []
    for column in table.columns:
        unique = unique_id(column.type, draw) if column.name in ids else None
        if follows and column.name == follows.reference:
            fill = _from_parent(follows.referred)
        elif unique:
            fill = _from_number(unique)
        elif column.name in times[:1]:
            fill = _from_time(time_form(column.type))
        elif column in shared and column.name not in times and column.name not in ids:
            fill = _from_parent(column.name)
        else:
            is_id = column.name in ids or column.name.endswith("_id") or (table.name, column.name) in referred
            fill = _made(column, draw, can_be_null=not is_id)
        fills.append(_chosen(column.name, fill) if column.name in chosen else fill)
    return _Plan(table.name, table.columns, tuple(fills), spoiler(table.columns, draw), bool(times))


def _from_parent(name: str) -> _Fill:
    return lambda origin: origin.parent[name]


def _from_number(unique: Callable[[int], str]) -> _Fill:
    return lambda origin: unique(origin.number)


def _from_time(form: Callable[[int], str]) -> _Fill:
    return lambda origin: form(origin.happened_ms)


def _chosen(name: str, otherwise: _Fill) -> _Fill:
    def chosen(origin: _Origin) -> str | None:
        value = origin.choice.values.get(name) if origin.choice else None
        return otherwise(origin) if value is None else value

    return chosen


def _made(column: Column, draw: Draw, can_be_null: bool) -> _Fill:
    make = maker(column.name, column.type, draw)
    key = f"{column.name} {column.type}"

    def of_session(origin: _Origin) -> str:
        values = origin.session.values
        if key not in values:
            values[key] = make(origin.happened_ms)
        return values[key]

    def of_event(origin: _Origin) -> str:
        return make(origin.happened_ms)

    fill = of_session if column.name in OF_A_SESSION else of_event
    return with_nulls(fill, draw) if can_be_null else fill
