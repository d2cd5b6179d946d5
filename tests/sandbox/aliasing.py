"""Tests of what a test and a program hold as one thing, and programs that are right or wrong in it.

`RIGHT` are tests of `PROGRAM`, which hold
`WRONG` are programs and tests of them that fail. Both
are plain Python, and are run as that too.
"""

PROGRAM = """
import collections, copy
from collections import deque, namedtuple
from dataclasses import dataclass, field
class Stack:
    def __init__(self, items=()): self.items = list(items)
    def push(self, x): self.items.append(x)
    def pop(self): return self.items.pop()
    def copy(self): return Stack(self.items)
    def view(self): return list(self.items)
    def reset(self): self.items = []
class Keeps:
    def __init__(self, given): self.given = given
    def total(self): return sum(self.given)
    def add(self, x): self.given.append(x)
    def size(self): return len(self.given)
class Node:
    def __init__(self, value, children=None):
        self.value, self.children = value, children if children is not None else []
    def total(self): return self.value + sum(c.total() for c in self.children)
    def depth(self): return 1 + max([c.depth() for c in self.children], default=0)
@dataclass
class Box:
    tags: list = field(default_factory=list)
    by_name: dict = field(default_factory=dict)
    seen: set = field(default_factory=set)
    def names(self): return sorted(self.by_name)
class Point:
    def __init__(self, x): self.x = x
    def __eq__(self, other): return isinstance(other, Point) and self.x == other.x
    def __hash__(self): return hash(self.x)
class Plain: pass
Pair = namedtuple('Pair', 'left right')
LOG, BY_KEY = [], {}
def log(x):
    LOG.append(x)
    BY_KEY[x] = len(LOG)
def renew():
    global LOG
    LOG = ['new']
def logged(): return len(LOG)
kept = []
def keep(x):
    kept.append(x)
    return x
def last(): return kept[-1]
def gather(x, into=[]):
    into.append(x)
    return into
def grid(n): return [[0] * n for _ in range(n)]
def one_row(n): return [[0] * n] * n
def swap(pair): pair[0], pair[1] = pair[1], pair[0]
def clear(things): things.clear()
def same(a, b): return a is b
def loop():
    made = [1]
    made.append(made)
    return made
def is_loop(x): return x[-1] is x
def both():
    shared = [1]
    return shared, {'a': shared}
def growing():
    buffer = []
    for at in range(4):
        buffer.append(at)
        yield buffer
class Full(Exception):
    def __init__(self, held):
        super().__init__('full', held)
        self.held = held
def fail():
    raise Full(kept)
def change_and_fail(x):
    x.append('changed')
    raise ValueError('no')
def put(d, key, value): d[key] = value
def replace(d, key): d[key] = list(d[key])
def turn(xs): xs[0] = True
def negate(xs): xs[0] = -0.0
def keys_of(d): return list(d)
def shallow(x): return copy.copy(x)
def deep(x): return copy.deepcopy(x)
def fill_deque(x): x[0].append(5)
class Bus:
    def __init__(self): self.queue, self.rows = [], {}
    def drain(self):
        done, self.queue = self.queue, []
        return done
    def row(self, key): return self.rows.setdefault(key, [])
class Cursor:
    def __init__(self, rows): self.rows, self.at = rows, 0
    def __iter__(self): return iter(self.rows)
    def step(self):
        self.at += 1
        return self.rows[self.at - 1]
"""
RIGHT = """
s = Stack(); s.items.append(1); s.push(2)
assert s.items == [1, 2] and s.pop() == 2 == s.items.pop() + 1

s = Stack([1]); assert s.items is s.items and type(s.items) is list

s = Stack([1]); held = s.items; s.push(2); assert held == [1, 2] and held is s.items

s = Stack([1]); t = s.copy(); t.push(2); assert s.items == [1] and s.items is not t.items

s = Stack([1]); s.view().append(2); assert s.items == [1]

s = Stack([1]); held = s.items; s.reset(); s.push(5); assert held == [1] and s.items == [5]

given = [1, 2]; k = Keeps(given); given.append(3); assert k.total() == 6 and k.given is given

given = [1, 2]; k = Keeps(given); k.add(3); assert given == [1, 2, 3]

given = {1}; k = Keeps(given); given |= {2, 3}; assert k.size() == 3 and k.total() == 6

given = {1: 2}; k = Keeps(given); del given[1]; assert k.size() == 0 and k.given == {}

root = Node(1); root.children.append(Node(2)); root.children[0].children.append(Node(3))
assert root.total() == 6 and root.depth() == 3 and len(root.children) == 1

a, b = Node(1), Node(2); a.children.append(b); assert a.children[0] is b; b.value = 7
assert a.total() == 8

shared = [Node(5)]; a, b = Node(1, shared), Node(2, shared); shared.append(Node(1))
assert a.total() == 7 == b.total() - 1

a, b = Box(), Box(); a.tags.append(1); a.seen.add(2)
assert b.tags == [] and b.seen == set() and a.tags == [1]

b = Box(); b.by_name['x'] = 1; b.by_name.update(y=2); b.by_name.setdefault('z', []).append(3)
assert b.names() == ['x', 'y', 'z'] and b.by_name['z'] == [3]; del b.by_name['x']
assert b.names() == ['y', 'z']

b = Box(); b.tags += [1, 2]; b.tags[1:] = [3, 4]; del b.tags[0]; b.tags *= 2; b.tags.sort()
b.tags.reverse()
assert b == Box([4, 4, 3, 3]) and b.tags == [4, 4, 3, 3]

b = Box(seen={1, 2}); b.seen -= {1}; b.seen ^= {5}; b.seen.discard(9)
assert b.seen == {2, 5} == Box(seen={5, 2}).seen

log('a'); LOG.append('b'); assert logged() == 2 and type(LOG) is list; log('c')
assert LOG == ['a', 'b', 'c'] and BY_KEY['c'] == 3

log('a'); old = LOG; renew()
assert old == ['a'] and LOG == ['new'] and old is not LOG and logged() == 1

x = [1]; assert keep(x) is x and last() is x; x.append(2)
assert last() == [1, 2] and kept[-1] is x

a = gather(1); b = gather(2); assert a is b and a == [1, 2]; a.clear()
assert gather(3) == [3] and b == [3]

a = gather(1, []); b = gather(2, []); assert a == [1] and b == [2] and a is not b

g = grid(3); g[0][1] = 5; assert g == [[0, 5, 0], [0, 0, 0], [0, 0, 0]] and g[0] is not g[1]

g = one_row(3); g[0][1] = 5; assert g == [[0, 5, 0]] * 3 and g[0] is g[2]

p = [1, [2]]; inner = p[1]; swap(p); assert p == [[2], 1] and p[0] is inner

x = {'a': [1]}; inner = x['a']; clear(x); assert x == {} and inner == [1]; clear(inner)
assert inner == []

a, b = [], []; assert same(a, a) and not same(a, b) and same(b, b)

x = loop(); assert x[1] is x and x[1][1][0] == 1; y = [0]; y.append(y)
assert is_loop(y) and keep(y)[1] is y and last()[1] is y

a, d = both(); assert d['a'] is a; a.append(2); assert d == {'a': [1, 2]}; keep(d)
d['a'].append(3); assert last()['a'] == [1, 2, 3] == a

seen = [list(x) for x in growing()]; assert seen == [[0], [0, 1], [0, 1, 2], [0, 1, 2, 3]]

g = growing(); a = next(g); b = next(g); assert a is b and a == [0, 1]; a.append(9)
assert next(g) == [0, 1, 9, 2]

keep(1)
try: fail()
except Full as error: assert error.held is kept and error.args[1] is kept; error.held.append(2)
assert last() == 2 and kept == [1, 2]

x = [1]
try: change_and_fail(x); assert False
except ValueError: assert x == [1, 'changed']

d = {}; p = Point(3); d[p] = 1; put(d, Point(4), 2)
assert d[Point(3)] == 1 and d[Point(4)] == 2 and len(d) == 2 and p in d

d = {Point(1): []}; k = Keeps(d); d[Point(2)] = [5]; del d[Point(1)]
assert k.size() == 1 and list(k.given.values()) == [[5]]

s = {Point(1)}; k = Keeps(s); s.add(Point(1)); s.add(Point(2))
assert k.size() == 2 and Point(2) in k.given and s == {Point(2), Point(1)}

a, b = Plain(), Plain(); k = Keeps({a: 1}); k.given[b] = 2
assert k.size() == 2 and k.given[a] == 1 and a in k.given and Plain() not in k.given

b = Box(by_name={(1, 'a'): [1], frozenset({2}): {3: {4}}}); b.by_name[1, 'a'].append(2)
b.by_name[frozenset([2])][3].add(5)
assert b.by_name == {(1, 'a'): [1, 2], frozenset({2}): {3: {4, 5}}} and Box(by_name=b.by_name) == b

d = {'b': 1, 'a': 2}; put(d, 'c', 3); put(d, 'b', 4)
assert list(d) == ['b', 'a', 'c'] == keys_of(d); d['b'] = d.pop('b')
assert keys_of(d) == ['a', 'c', 'b']

d = {k: 0 for k in 'abc'}; [put(d, k, 1) for k in d]; assert d == {'a': 1, 'b': 1, 'c': 1}
for key, value in d.items(): put(d, key, value + 1)
assert set(d.values()) == {2}

d = {'a': 1}
try:
    for key in d: put(d, key + 'x', 1)
    assert False
except RuntimeError: assert len(d) == 2

d = {k: 0 for k in ('alpha', 1000, (1, 2), 1.5)}; keys = list(d)
for key in d: put(d, key, d[key] + 1)
for key, value in Keeps(d).given.items(): put(d, key, value + 1)
assert list(d) == keys and all(a is b for a, b in zip(d, keys)) and set(d.values()) == {2}

x = [1, 2, 3]; seen = []
for at in x:
    seen.append(at)
    if at == 1: clear(x)
assert seen == [1] and x == []

x = {'a': [1]}; old = x['a']; replace(x, 'a'); assert x == {'a': [1]} and x['a'] is not old
old.append(2); assert x == {'a': [1]}

x = [1, 2]; k = Keeps(x); turn(x); assert x[0] is True and k.given[0] is True; x[0] = 1.0
assert type(k.given[0]) is float and str(k.given) == '[1.0, 2]'

x = [0.0]; negate(x); assert str(x) == '[-0.0]'; n = float('nan'); y = [n, 1]; k = Keeps(y)
k.add(2); assert n in y and y[0] is n and k.given[0] is n

x = [(1, [2]), frozenset({3})]; t = x[0]; k = Keeps(x); k.add(4)
assert x[0] is t and t == (1, [2]); t[1].append(5); assert k.given[0] == (1, [2, 5])

p = Pair([1], {'a': 1}); p.left.append(2); k = Keeps(p.left); k.add(3)
assert p.left == [1, 2, 3] and p[0] is p.left is k.given and p == ([1, 2, 3], {'a': 1})

x = [[1], [2]]; a = shallow(x); b = deep(x); x[0].append(5)
assert a == [[1, 5], [2]] and b == [[1], [2]] and a[0] is x[0] and b[0] is not x[0]

import copy; s = Stack([[1]]); a, b = copy.copy(s), copy.deepcopy(s); s.items[0].append(2)
assert a.items is s.items and a.items == [[1, 2]] and b.items == [[1]]

import copy; s = Stack([[1]]); a, b = copy.copy(s.items), copy.deepcopy(s.items)
s.items[0].append(2); s.push(3); assert a == [[1, 2]] and a[0] is s.items[0] and b == [[1]]

bus = Bus(); bus.queue.append(1); done = bus.drain(); done.append(2); bus.queue.append(3)
assert bus.drain() == [3] and done == [1, 2] and bus.queue == []

bus = Bus(); r = bus.row('a'); r.append(1)
assert bus.row('a') is r and bus.rows == {'a': [1]}; bus.rows['a'] = []
assert bus.row('a') == [] and r == [1]

rows = [[1], [2]]; c = Cursor(rows); assert c.step() is rows[0]; rows[1].append(3)
rows.append([4]); assert [r for r in c] == [[1], [2, 3], [4]] and next(iter(c)) is rows[0]

s = Stack([3, 1]); before = id(s.items); s.items.sort(); s.push(2)
assert id(s.items) == before and s.items == [1, 3, 2]

n = Node(1); n.children = kids = [Node(2)]; kids.append(Node(3))
assert n.total() == 6 and n.children is kids; n.children = []
assert n.depth() == 1 and len(kids) == 2

k = Keeps([]); k.given.append(k.given); k.given.append(k)
assert k.size() == 2 and k.given[0] is k.given and k.given[1] is k

from collections import deque; x = [deque([1])]; fill_deque(x); assert x == [deque([1, 5])]
k = Keeps(x); x[0].append(7); assert k.given == [deque([1, 5, 7])]

d = {1: 'a'}; v = d.items(); put(d, True, 'b'); assert list(v) == [(1, 'b')]
put(d, 2.0, 'c'); assert d[2] == 'c' and len(d.keys()) == 2

n = Node(1); n.children.append(n)
def depth(node): return 1 + depth(node.children[0])
try: depth(n); assert False
except RecursionError: assert n.children[0] is n

assert same(copy, copy) and keep([copy])[0] is copy

x = []; deepest = x
for at in range(200):
    deepest.append([]); deepest = deepest[0]; keep(deepest)
clear(x); assert x == [] and len(kept) == 200 and kept[0] == kept[-1] or kept[0] != []
"""
WRONG = """
def copied(x): return list(x)
---
a = [[1]]; b = copied(a); b[0].append(2); assert a == [[1]]

class Stack:
    def __init__(self): self._items = []
    def push(self, x): self._items.append(x)
    def items(self): return self._items
---
s = Stack(); s.push(1); s.items().append(2); assert s.items() == [1]

class Stack:
    def __init__(self): self._items = []
    def push(self, x): self._items.append(x)
    def items(self): return list(self._items)
---
s = Stack(); s.push(1); assert s.items() is s.items()

class Keeps:
    def __init__(self, given): self.given = given
    def total(self): return sum(self.given)
---
given = [1]; k = Keeps(given); given.append(2); assert k.total() == 1

class Keeps:
    def __init__(self, given): self.given = list(given)
    def total(self): return sum(self.given)
---
given = [1]; k = Keeps(given); given.append(2); assert k.total() == 3

def grid(n): return [[0] * n] * n
---
g = grid(2); g[0][0] = 1; assert g == [[1, 0], [0, 0]]

def gather(x, into=[]):
    into.append(x)
    return into
---
a = gather(1); b = gather(2); assert a == [1] and b == [2]

kept = []
def put(x): kept.append(x)
def get(): return kept[0]
---
x = [1]; put(x); x.append(2); assert get() == [1]

def f(x):
    x.append(1)
    return x
---
x = []; y = f(x); assert y is not x

class Tree:
    def __init__(self, children=[]): self.children = children
---
a, b = Tree(), Tree(); a.children.append(1); assert b.children == []

def later(x):
    global held
    held = x
def change(): held.append(1)
---
x = []; later(x); change(); assert x == []

def pair():
    a = []
    return a, a
---
a, b = pair(); a.append(1); assert b == []

LOG = []
def log(x): LOG.append(x)
def history(): return LOG
---
log(1); h = history(); log(2); assert h == [1]

class Matrix:
    def __init__(self, rows): self.rows = rows
    def scaled(self, k):
        for row in self.rows:
            for at in range(len(row)): row[at] *= k
        return Matrix(self.rows)
---
m = Matrix([[1, 2]]); n = m.scaled(3); assert m.rows == [[1, 2]] and n.rows == [[3, 6]]

import copy
def clone(d): return copy.copy(d)
---
d = {'a': {'b': 1}}; e = clone(d); e['a']['b'] = 2; assert d == {'a': {'b': 1}}

class P:
    def __init__(self, x): self.x = x
def table(): return {P(1): 1}
---
d = table(); d[P(1)] = 2; assert len(d) == 1
"""
