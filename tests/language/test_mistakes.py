"""Every mistake a person makes has an error that says where, what was found and what to do."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import pytest

from cellwright import cell
from cellwright.language import CellError, parse
from cellwright.language.errors import Place


class Mistake(NamedTuple):
    text: str
    line: int
    under: str
    """What the carets stand under; a single space for one past the end of the line."""
    message: str
    remedy: str


LSTM = """\
i  = σ(W_i x + R_i h + b_i)
f  = σ(W_f x + R_f h + b_f)
z  = tanh(W_z x + R_z h + b_z)
c' = f * c + i * z
h' = tanh(c')
"""
PEEPHOLE = LSTM.replace("f  = σ(W_f x", "f  = σ(p_f * c' + W_f x")
NESTED = "h' = " + "(x + " * 120 + "x" + ")" * 120
SIGNS = "h' = " + "-" * 120 + "x"
CHAIN = "h' = W x" + " + h" * 150
BLOCKS = "".join(" " * i + f"for a_{i} = 1..2\n" for i in range(11)) + " " * 11 + "h' = W x"

MISTAKES = {
    # functions
    "unknown function": Mistake("h' = sigmod(W x)", 1, "sigmod", "unknown function sigmod", "Did you mean sigmoid?"),
    "unknown function, nothing near": Mistake("h' = quux(W x)", 1, "quux", "unknown function quux", "Functions are abs, cos, deviation, exp"),
    "a value as a function": Mistake("a = W x\nh' = a(h)", 2, "a", "a is no function", "a * (h); a matrix has a capital first letter: A (h)"),
    "a vector as a function": Mistake("h' = p_i(W x)", 1, "p_i", "p_i is no function", "p_i * (W x)"),
    "a function alone": Mistake("h' = tanh * W x", 1, "tanh", "tanh is a function and stands alone", "tanh(h)"),
    "a function of other places": Mistake("h' = softmax(W x)", 1, "softmax", "unknown function softmax", "Write e / sum(e) with e = exp(v)"),
    "the other name of a function": Mistake("h' = sigma(W x)", 1, "sigma", "unknown function sigma", "Write sigmoid(v)."),
    "too few arguments of three": Mistake("h' = where(h, W x)", 1, "where(h, W x)", "where takes 3 arguments, got 2", "Write where(v, a, b)"),
    "too few arguments": Mistake("h' = max(W x)", 1, "max(W x)", "max takes 2 arguments, got 1", "Write max(a, b)"),
    "too many arguments": Mistake("h' = tanh(W x, h)", 1, "tanh(W x, h)", "tanh takes 1 argument, got 2", "Write tanh(v)"),
    "arguments of a form": Mistake("h' = W x + norm(h, h)", 1, "norm(h, h)", "norm takes 1 argument, got 2", "Write norm(v)"),
    "a form on a number": Mistake("h' = W x + h * norm(2)", 1, "2", "norm takes a vector, and this is a single number", "norm(v)"),
    "no size": Mistake("h' = W x + h / size(h)", 1, "h", "a size is expected here", "H or I"),
    "unknown size": Mistake("h' = W x + h / size(Q)", 1, "Q", "nothing here has the size Q", "H for the size of the states"),
    "spread of a vector": Mistake("h' = W x + spread(h, H)", 1, "h", "and this is a vector", "Write spread(v, H)"),
    "outer in a cell": Mistake("h' = W x + outer(h, x)", 1, "outer(h, x)", "outer makes a matrix", "Only sum takes a matrix"),
    "a call that takes nothing": Mistake("h' = tanh()", 1, ")", ") is not expected after (", "a value is expected"),
    # names
    "read before it is set": Mistake("h' = tanh(W x + a)\na = R h", 1, "a", "a is read before it is set", "a is set on line 2. Move this equation below line 2."),
    "new state read before it is set": Mistake(PEEPHOLE.replace("f * c + i", "c + i"), 2, "c'", "c' is read before it is set", "c' is set on line 4. Write c for the value from the step before, or move this equation below line 4."),
    "state never set": Mistake("h' = tanh(W x + c)", 1, "c", "the state c is read, but no equation sets it", "Add an equation c' = …"),
    "new state never set": Mistake("h' = tanh(W x + c')", 1, "c'", "c' is read, but no equation sets it", "Add an equation c' = …, or write c."),
    "declared state never set": Mistake("state s : H\nh' = W x + s", 1, "s", "the state s is never set", "Add an equation for s'"),
    "a state misspelt behind a matrix": Mistake("h' = tanh(W x + R g)", 1, "g", "R is applied to g, which no equation sets, so g is the same in every step", "Did you mean h? A matrix is applied to x, a state or what is made of them; if g is to be learned, add a line: vector g : H."),
    "a state misspelt, of several": Mistake(LSTM.replace("R_f h", "R_f k"), 2, "k", "R_f is applied to k", "Did you mean c or h?"),
    "a value misspelt behind a matrix": Mistake("mem = W x\nh' = h * mem + R memm", 2, "memm", "R is applied to memm", "Did you mean mem?"),
    "a misspelt state between brackets": Mistake("scalar a\nh' = W x + R tanh(a * g + 1)", 2, "g", "R is applied to g", "Did you mean h?"),
    "the input of a step behind a matrix": Mistake("h' = tanh(W x_t + R h)", 1, "x_t", "W is applied to x_t", "Did you mean x?"),
    "two definitions": Mistake("a = W x\nb = h\na = h\nh' = a + b", 3, "a", "a is set a second time", "Line 1 sets it already"),
    "two definitions of a state": Mistake("h' = W x\nh' = h", 2, "h'", "h' is set a second time", "Line 1 sets it already"),
    "a value and a state": Mistake("h = W x\nh' = h", 1, "h", "h is set both as a value and as a state", "h'"),
    "defined by itself": Mistake("a = a + W x\nh' = a", 1, "a", "a is defined by itself", "a' = …"),
    "state defined by itself": Mistake("h' = W x + h'", 1, "h'", "h' is defined by itself", "Write h for the value from the step before."),
    "cycle": Mistake("a = W x + b\nb = d + h\nd = a\nh' = b", 1, "b", "a cycle: a → b → d → a", "Break it"),
    "cycle through a new state": Mistake(PEEPHOLE, 2, "c'", "a cycle: f → c' → f", "Write c for the value from the step before."),
    "x is set": Mistake("x = W h\nh' = x", 1, "x", "x is the input", "another name"),
    "x is a state": Mistake("x' = W x", 1, "x'", "x is the input", "another name"),
    "a function's name is set": Mistake("max = W x\nh' = max", 1, "max", "max is the name of a function", "another name"),
    "another spelling of a function is set": Mistake("σ = W x\nh' = h", 1, "σ", "σ is the name of a function", "another name"),
    "a form's name is set": Mistake("norm = W x\nh' = h", 1, "norm", "norm is the name of a function", "another name"),
    "a function's name as a state": Mistake("tanh' = W x", 1, "tanh'", "tanh' is the name of a function", "another name"),
    "a function's name is declared": Mistake("scalar exp = 1\nh' = W x", 1, "exp", "exp is the name of a function", "another name"),
    # shapes
    "a matrix as a vector": Mistake("h' = W x + B", 1, "B", "B is a matrix and stands alone", "a small first letter: b"),
    "a transposed matrix as a vector": Mistake("h' = W x * R^T", 1, "R^T", "R is a matrix and stands alone", "Put a vector behind it"),
    "a vector as a matrix": Mistake("h' = w x + h", 1, "x", "two values side by side: w x", "or W x if w is a matrix"),
    "a vector as a matrix on brackets": Mistake("h' = W x + r (h)", 1, "r", "r is no function", "a matrix has a capital first letter: R (h)"),
    "a matrix on a number": Mistake("h' = W x + R 2", 1, "2", "a matrix is applied to a single number", "multiply a vector"),
    "a matrix on a learned scalar": Mistake("scalar alpha\nh' = W x + R alpha", 2, "alpha", "a matrix is applied to a single number", "a * h"),
    "a declared vector applied": Mistake("vector W : H\nh' = W x", 1, "W", "W is not expected after vector", "a vector has a small first letter"),
    "mixed sizes": Mistake("vector b : Q\nh' = W x + h + b", 2, "W x + h + b", "the two sides of + would need H and Q to be equal", "with a matrix"),
    "mixed sizes in arguments": Mistake("vector b : Q\nh' = W x + max(h, b)", 2, "max(h, b)", "its arguments would need H and Q to be equal", "with a matrix"),
    "mixed sizes under a matrix": Mistake("matrix R : (H, Q)\nh' = W x + R h", 2, "h", "what R is applied to would need H and Q", "with a matrix"),
    "mixed sizes of a state": Mistake("state h : Q\nvector b : P\nh' = b + W x", 3, "b + W x", "the new value of h would need P and Q", "with a matrix"),
    "a size of neither": Mistake("vector b : Q\nh' = W x + R b", 2, "h' = W x + R b", "unknown size Q", "I, the input size, and H, the hidden size. Declare another one: size Q = 20."),
    "a scalar as output": Mistake("h' = W x\ny = sum(h)\noutput y", 3, "output y", "y is a single number", "sets a vector"),
    "declared sizes that the equations make one": Mistake("matrix W : (I, H)\nh' = W x", 2, "x", "what W is applied to would need H and I to be equal", "with a matrix"),
    "a declared input that is added to a state": Mistake("input x : I\nh' = W x + x", 2, "W x + x", "the new value of h would need H and I", "with a matrix"),
    # the shape of a line
    "bracket not closed": Mistake("h' = tanh(W x + (R h + b)", 1, "(", "this bracket is never closed", "Close it with )"),
    "bracket closes none": Mistake("h' = tanh(W x)) + b", 1, ")", "this bracket closes none", "Remove it"),
    "stray character": Mistake("h' = W x ? h", 1, "?", "'?' means nothing here", "Remove it"),
    "power": Mistake("h' = W x ^ 2", 1, "^", "'^' means nothing here", "write v * v"),
    "at": Mistake("h' = W @ x", 1, "@", "'@' means nothing here", "without a sign: W x"),
    "cross": Mistake("h' = W x × h", 1, "×", "'×' means nothing here", "Write * for the elementwise product"),
    "square bracket": Mistake("h' = tanh[W x]", 1, "[", "'[' means nothing here", "round brackets"),
    "comparison": Mistake("h' = W x * (h > 0)", 1, ">", "'>' means nothing here", "step(a - b)"),
    "semicolon": Mistake("a = W x; h' = a", 1, ";", "';' means nothing here", "one equation a line"),
    "a second prime": Mistake("h'' = W x", 1, "'", "means nothing here", "There is only one"),
    "a letter of no name": Mistake("h' = W x + é", 1, "é", "'é' means nothing here", "Latin or Greek"),
    "a character that cannot be seen": Mistake("h' = W x +\u200b h", 1, " ", "the character U+200B means nothing here", "Remove it"),
    "a name that starts with _": Mistake("h' = W x + _b", 1, "_", "'_' means nothing here", "starts with a letter"),
    "juxtaposition": Mistake("h' = W x + f c", 1, "c", "two values side by side: f c", "f * c for the elementwise product, or F c"),
    "juxtaposition of a number": Mistake("h' = W x + 2 h", 1, "h", "two values side by side: 2 h", "2 * h"),
    "juxtaposition of a bracket": Mistake("h' = (1 - h) W x", 1, "W", "two values side by side: ) W", "Write * between them"),
    "a sum of matrices": Mistake("h' = (W + R) x", 1, "x", "two values side by side: ) x", "W x + R x for (W + R) x"),
    "a function without brackets": Mistake("h' = tanh W x", 1, "W", "the function tanh has no brackets", "into brackets: tanh(…)"),
    "a function without brackets before brackets": Mistake("h' = W x + norm h", 1, "h", "the function norm has no brackets", "norm(…)"),
    "a function with a capital": Mistake("h' = Tanh(W x)", 1, "Tanh", "Tanh would be a matrix", "Write tanh(…)"),
    "a function in capitals": Mistake("h' = W x + SIGMOID h", 1, "SIGMOID", "SIGMOID would be a matrix", "Write sigmoid(…)"),
    "an attribute": Mistake("h' = W x + R.T h", 1, ".", ". is not expected after R", "R^T"),
    "a transpose run into a name": Mistake("h' = W x + R^Th", 1, "^", "'^' means nothing here", "The transpose of a matrix is R^T"),
    "a matrix on two vectors": Mistake("h' = tanh(W [h, x])", 1, "[", "'[' means nothing here", "write R h + W x"),
    "the step before in a subscript": Mistake("h' = tanh(W x + U h_{t-1})", 1, "{", "'{' means nothing here", "For h_{t-1} write h"),
    "a digit as a subscript": Mistake("h' = W₁ x", 1, "₁", "'₁' means nothing here", "W_1"),
    "two stars": Mistake("h' = (W x)**2", 1, "*", "** means nothing here", "write v * v"),
    "two slashes": Mistake("h' = W x // new", 1, "/", "// means nothing here", "starts with #"),
    "two equals signs": Mistake("h' == W x", 1, "=", "= is written twice", "Write it once"),
    "a sign behind a matrix": Mistake("h' = W * x", 1, "W", "W is a matrix and stands alone", "without a sign, as in W x"),
    "a capital state": Mistake("H' = W x", 1, "H'", "H' is not expected before the =", "small first letter"),
    "bars": Mistake("h' = |W x|", 1, "|", "'|' means nothing here", "abs(v)"),
    "a dash": Mistake("h' = W x – h", 1, "–", "'–' means nothing here", "Write - for minus"),
    "a quotation mark": Mistake("h’ = W x", 1, "’", "'’' means nothing here", "Write ' for the prime"),
    "a bullet": Mistake("h' = W x • h", 1, "•", "'•' means nothing here", "Write * for the elementwise product"),
    "a space that is none": Mistake("h' = W\u00a0x", 1, " ", "the character U+00A0 means nothing here", "write an ordinary one"),
    "digits of another script": Mistake("h' = W x * ٣", 1, "٣", "'٣' means nothing here", "Remove it"),
    "juxtaposition of a new state": Mistake("c' = W x\nh' = c' c", 2, "c", "two values side by side: c' c", "c' * c"),
    "end of line": Mistake("h' = W x +", 1, " ", "the equation ends too early", "After + a value is expected"),
    "nothing after =": Mistake("h' =", 1, " ", "the equation ends too early", "After = a value is expected"),
    "end of line before a caption": Mistake("h' = W x *   # the end", 1, " ", "the equation ends too early", "After * a value"),
    "two signs": Mistake("h' = W x + * h", 1, "*", "* is not expected after +", "a value is expected"),
    "no equation": Mistake("just some words", 1, "just some words", "this is no equation", "name = expression"),
    "two equals": Mistake("a = h = W x", 1, "=", "a second = in one line", "one equation a line"),
    "no name on the left": Mistake("= W x", 1, "=", "= is not expected before the =", "one name"),
    "an expression on the left": Mistake("a + b = W x", 1, "+", "+ is not expected before the =", "small first letter: i = …, or h' = …"),
    "a matrix on the left": Mistake("A = W x", 1, "A", "A is not expected before the =", "one name"),
    "too deep": Mistake(NESTED, 1, "", "nests deeper than 100", "give parts of it names"),
    "too many signs": Mistake(SIGNS, 1, "", "nests deeper than 100", "give parts of it names"),
    "too long a sum": Mistake(CHAIN, 1, "", "nests deeper than 100", "give parts of it names"),
    "too large a number": Mistake("h' = W x + 1e999", 1, "1e999", "1e999 is too large", "up to 1e+38"),
    "too large a constant": Mistake("const a = -1e400\nh' = W x + a", 1, "1e400", "1e400 is too large", "up to 1e+38"),
    "a matrix written onto its vector": Mistake("h' = tanh(Wx + R h)", 1, "Wx", "Wx is a matrix and stands alone", "Did you mean W x? A space"),
    "a matrix written onto a state": Mistake("h' = tanh(W x + Uh)", 1, "Uh", "Uh is a matrix and stands alone", "Did you mean U h? A space"),
    "a gate with a capital": Mistake("f = σ(W x)\nh' = F * h", 2, "F", "F is a matrix and stands alone", "Did you mean f? A capital"),
    "a subscript in braces": Mistake("f = σ(W_{f} x)\nh' = f * h", 1, "{", "'{' means nothing here", "A subscript has no braces: W_f"),
    "a function with two meanings": Mistake("h' = W x + ln(h)", 1, "ln", "unknown function ln", "Write log(v) for the logarithm, norm(v) for layer normalisation."),
    "a function under its name in torch": Mistake("h' = W x + gelu(h)", 1, "gelu", "unknown function gelu", "Write v * sigmoid(1.702 * v)"),
    "another name of a form": Mistake("h' = W x + layernorm(h)", 1, "layernorm", "unknown function layernorm", "Write norm(v)."),
    # what changes nothing
    "an equation nobody reads": Mistake("q = V x\nh' = tanh(R h + b + W x)", 1, "q", "q is set, but neither the output nor a state depends on it", "Use it in an equation, or remove this line"),
    "an equation read by one nobody reads": Mistake("q = V x\nr = tanh(q)\nh' = W x", 1, "q", "q is set, but neither", "remove this line"),
    "an equation whose name is misspelt elsewhere": Mistake("f = σ(W x)\nh' = ff * h", 1, "f", "f is set, but neither", "No equation sets ff, which makes it a learned vector: did you mean f there?"),
    # headers and declarations
    "a second title": Mistake("title: one\ntitle: two\nh' = W x", 2, "title", "a second title:", "only note: may be repeated"),
    "like an unknown cell": Mistake("like: lstn\nh' = W x", 1, "like: lstn", "like: names no cell of the catalogue, got lstn", "Did you mean lstm? Name one that cellwright list has"),
    "like nothing": Mistake("like:\nh' = W x", 1, "like:", "like: names no cell of the catalogue, got nothing", "Name one that cellwright list has"),
    "a derived program as a cell": Mistake("input x : I\ninput g : H\nh' = W x + g", 2, "g", "the input g is not x", "a program that was derived from a cell is no cell"),
    "the paper's names of the steps": Mistake("h_t = tanh(W x + b)", 1, "h_t = tanh(W x + b)", "no equation sets a state", "h' = … for h_t, with h for its value from the step before"),
    "unknown header": Mistake("foo: bar\nh' = W x", 1, "foo", "foo is no header", "Headers are title, paper, like"),
    "init of what is no vector": Mistake("init W = 1\nh' = W x", 1, "W", "W is not expected after init", "init b_f = 1, for a learned vector b_f"),
    "init of an equation": Mistake("init a = 1\na = W x\nh' = a", 1, "a", "a is no learned vector", "a name with a small first letter"),
    "cycle without a state": Mistake("z = σ(R h + b)\nh = z * tanh(W x)", 1, "h", "a cycle: z → h → z", "is a state: h' = …"),
    "cycle without a state, first": Mistake("h = z * tanh(W x)\nz = σ(R h + b)", 1, "z", "a cycle: h → z → h", "is a state: h' = …"),
    "cycle of an output": Mistake("i = σ(W_i x + R_i h)\nc' = c + i\nh = tanh(c')", 1, "h", "a cycle: i → h → c' → i", "is a state: h' = …"),
    "init misspelt": Mistake("init b_g = 1\nh' = tanh(W x + b_f)", 1, "b_g", "b_g is no learned vector", "Here it is b_f."),
    "init of a gain": Mistake("init q = 1\nh' = tanh(norm(W x) + b[1] + b[2])", 1, "q", "q is no learned vector", "Here they are b[1], b[2]."),
    "init of nothing": Mistake("init b = 1\nh' = W x", 1, "b", "b is no learned vector", "There is none here."),
    "init twice": Mistake("init b = 1\ninit b = 2\nh' = W x + b", 2, "b", "b has an initial value already", "Remove one"),
    "init without a number": Mistake("init b = c\nh' = W x + b", 1, "c", "c is not expected after =", "Write init b_f = 1"),
    "const without a number": Mistake("const a\nh' = W x + a", 1, " ", "the line ends too early", "Write const dt = 0.1"),
    "scalar with a name for a number": Mistake("scalar a = b\nh' = W x * a", 1, "b", "b is not expected after =", "Write scalar alpha = 0.5"),
    "output of an expression": Mistake("h' = W x\noutput 2 * h'", 2, "2", "2 is not expected after output", "Write output h'"),
    "output of a sum": Mistake("h' = W x\noutput h' + x", 2, "+", "+ is not expected after h'", "Write output h'"),
    "state without a size": Mistake("state h\nh' = W x", 1, " ", "the line ends too early", "Write state h : H"),
    "matrix with one size": Mistake("matrix W : H\nh' = W x", 1, "H", "H is not expected after :", "Write matrix W_f : (H, I)"),
    "a constant that is an argument of the layer": Mistake("const bias = 1\nh' = W x * bias", 1, "bias", "bias is an argument of every layer", "another name"),
    "mixed sizes in brackets": Mistake("vector b : Q\nh' = W x * (h + b)", 2, "(h + b)", "the two sides of + would need", "with a matrix"),
    "output of what is no equation": Mistake("h' = W x\noutput y", 2, "y", "the output y is no equation", "Name one, for example h'"),
    "output of a state": Mistake("h' = W x\noutput h", 2, "h", "h is the state of the step before", "output h'"),
    "two outputs": Mistake("y = W x\nh' = y\noutput y, h'", 3, "output y, h'", "one value a step", "Name one output"),
    "two output lines": Mistake("y = W x\nh' = y\noutput y\noutput h'", 4, "output h'", "a second output line", "Put all outputs on one line"),
    "scalar declared and unused": Mistake("scalar alpha = 1\nh' = W x", 1, "alpha", "alpha is declared but never used", "remove this line"),
    "const declared and unused": Mistake("const dt = 1\nh' = W x", 1, "dt", "dt is declared but never used", "remove this line"),
    "matrix declared and unused": Mistake("matrix R, S : (H, H)\nh' = W x + R h", 1, "S", "S is declared but never used", "remove this line"),
    "declared twice": Mistake("scalar a = 1\nconst a = 1\nh' = W x * a", 2, "a", "a is set a second time", "Line 1 sets it already"),
    "sum in a cell": Mistake("h' = W x\nsum total = h", 2, "sum total = h", "a cell has no sums", "Remove this line"),
    "a sum that is read": Mistake("sum total = h\nh' = W x + total", 2, "total", "total is a sum, known after the last step only", "Give what it sums a name"),
    "inputs without x": Mistake("input u : I\nh' = W x + U u", 2, "x", "x is read, and is none of the inputs", "input x : I"),
    # counts and repetition
    "an index of another member": Mistake("s[l] = h for l = 1..3\nh' = W x + s[0] + s[3]", 2, "s[0]", "s[0] is read, but no equation sets it", "Equations set s[1], s[2], s[3]"),
    "an index of another state": Mistake("h' = W x + past[2]\npast[1]' = h", 1, "past[2]", "past[2] is read, but no equation sets it", "Equations set past[1]': change where a range begins or ends"),
    "a state with an index that is never set": Mistake("h' = W x + R h[1]", 1, "h[1]", "the state h[1] is read, but no equation sets it", "Add an equation h[1]' = …"),
    "read before it is set in a range": Mistake("count L = 2\ns[0] = W x\nfor l = 1..L\n  s[l] = tanh(s[l+1])\nh' = s[L]", 4, "s[l+1]", "s[2] is read before it is set (l = 1)", "s[2] is set on line 4, for l = 2. Read what is set earlier."),
    "defined by itself in a range": Mistake("s[0] = W x\ns[l] = R s[l] for l = 1..2\nh' = s[2]", 2, "s[l]", "s[1] is defined by itself (l = 1)", "s[1]' = …"),
    "set in every round": Mistake("a = W x for l = 1..2\nh' = a", 1, "a", "a is set a second time (l = 2)", "So it was for l = 1: give it an index."),
    "an unknown function in a range": Mistake("s[0] = W x\ns[l] = tahn(s[l-1]) for l = 1..2\nh' = s[2]", 2, "tahn", "unknown function tahn (l = 1)", "Did you mean tanh?"),
    "an equation of a range that nobody reads": Mistake("q[l] = W x for l = 1..2\nh' = V x", 1, "q[l]", "q[1] is set, but neither the output nor a state depends on it (l = 1)", "remove this line"),
    "a scalar of a range that nobody reads": Mistake("scalar a[l] for l = 1..2\nh' = V x", 1, "a[l]", "a[1] is declared but never used (l = 1)", "remove this line"),
    "init of a range of nothing": Mistake("init b[l] = 1 for l = 1..2\nh' = V x", 1, "b[l]", "b[1] is no learned vector (l = 1)", "no equation sets"),
    "mixed sizes in a range": Mistake("vector b : Q\nh' = sum(W[l] x for l = 1..2) + b", 2, "sum(W[l] x for l = 1..2) + b", "would need H and Q", "with a matrix"),
    "a scalar as output of a range": Mistake("h' = W x\ny[1] = sum(h)\noutput y[1]", 3, "output y[1]", "y[1] is a single number", "sets a vector"),
    "the step before as an index": Mistake("h' = tanh(W x + U h[t-1])", 1, "t", "t is no count, nor the variable of a for around this", "write the name of the state alone"),
    "an index of the input": Mistake("h' = W x[1]", 1, "x[1]", "x is the input of this step, and has no index", "past[k]' = past[k-1] for k = 2..K"),
    "an index of a function": Mistake("h' = W x + tanh[1] * h", 1, "tanh[1]", "tanh is a function and has no index", "Write tanh(…)"),
    "an index below 0": Mistake("s[l] = s[l-1] + W x for l = 0..2\nh' = s[2]", 1, "s[l-1]", "s[-1] has an index below 0 (l = 0)", "Begin the range later"),
    "an index that is no whole number": Mistake("h' = W x + n[1.5]", 1, ".5", ".5 is not expected after 1", "An index is made of whole numbers, counts and what a for counts"),
    "a dot between a matrix and two vectors": Mistake("h' = σ(W_f·[h, x] + b)", 1, "·", "'·' means nothing here", "write R h + W x"),
    "a dot behind a matrix with an index": Mistake("h' = W[1] · x", 1, "·", "'·' means nothing here", "without a sign: W x."),
    "a blank before an index": Mistake("h[1]' = W [1] x", 1, "W [1]", "an index stands right behind its name", "Remove the blank"),
    "a blank before the index of a state": Mistake("h [1]' = W x", 1, "h [1]", "an index stands right behind its name", "Remove the blank"),
    "a product in an index": Mistake("n[l] = W x for l = 1..2\nh' = n[2*l]", 2, "*", "* is not expected after 2", "with + and -: n[l-1]"),
    "two indices": Mistake("h' = W[1, 2] x", 1, ",", ", is not expected after 1", "For W[h, x], a matrix on two vectors, write R h + W x."),
    "an index of nothing": Mistake("h' = n[] + W x", 1, "]", "] is not expected after [", "An index is made of"),
    "a prime before an index": Mistake("c'[1] = W x", 1, "[", "'[' means nothing here", "before its prime: n[2], c[1]'"),
    "an index that is never closed": Mistake("h' = W x + n[1", 1, "[", "this bracket is never closed", "Close it with ]"),
    "an index closed by a round bracket": Mistake("h' = W x + n[1)", 1, ")", "this bracket closes none", "open one before it with ("),
    "juxtaposition of an index": Mistake("h' = W x + b[2] h", 1, "h", "two values side by side: b[2] h", "b[2] * h for the elementwise product, or B[2] h"),
    "a name that an index makes too": Mistake("n_1 = W x\nn[1] = V x\nh' = n_1 + n[1]", 2, "n[1]", "n[1] and n_1, of line 1, would both be n_1 in layers", "another name"),
    "a count as a matrix": Mistake("count L = 2\nh' = L x", 2, "L", "L is a count, and so a number", "the product with a number is L * h"),
    "a count that is set": Mistake("count d = 2\nd = W x\nh' = d", 2, "d", "d is a count, and so a number", "another name"),
    "a variable that is set": Mistake("for l = 1..2\n  l = W x\nh' = V x", 1, "l", "l stands for something else here", "Line 2 sets it: give what is counted a name of its own"),
    "a state as a variable": Mistake("h' = W x + sum(R[h] h for h = 1..2)", 1, "h", "h stands for something else here", "Line 1 sets it"),
    "a constant as a variable": Mistake("a[k] = k * W[k] x for k = 1..2\nconst k = 3\nh' = k * a[1] + a[2]", 1, "k", "k stands for something else here", "Line 2 sets it"),
    "a variable of two ranges": Mistake("for l = 1..2\n  a[l] = W x for l = 1..2\nh' = a[1]", 2, "l", "l stands for something else here (l = 1)", "a name of its own"),
    "the input as a variable": Mistake("a[x] = V h for x = 1..2\nh' = a[1]", 1, "x", "x stands for something else here", "a name of its own"),
    "count declared and unused": Mistake("count L = 2\nh' = W x", 1, "L", "L is declared but never used", "Use it in an index or a range"),
    "count declared twice": Mistake("count L = 2\ncount L = 3\nh' = W[L] x", 2, "L", "L is set a second time", "Remove one of the lines"),
    "a count in a block": Mistake("for l = 1..2\n  count L = 2\nh' = W[L] x", 2, "L", "a count is declared once", "above what is repeated"),
    "a count named after a size": Mistake("count H = 2\nh' = W[H] x", 1, "H", "H is the hidden size", "another name"),
    "a count named after the input": Mistake("count x = 2\nh' = W[x] x", 1, "x", "x is the input", "another name"),
    "a count named after a function": Mistake("count sin = 2\nh' = W[sin] x", 1, "sin", "sin is the name of a function", "another name"),
    "a count that is an argument of the layer": Mistake("count heads = 2\nh' = W[heads] x", 1, "heads", "heads is an argument of every layer", "another name"),
    "count without a number": Mistake("count L\nh' = W[L] x", 1, " ", "the line ends too early", "Write count L = 2"),
    "count with a fraction": Mistake("count L = 2.5\nh' = W[L] x", 1, ".5", ".5 is not expected after 2", "with a whole number"),
    "count below 0": Mistake("count L = -1\nh' = W[L] x", 1, "-", "- is not expected after =", "with a whole number"),
    "count with a name": Mistake("count L = K\nh' = W[L] x", 1, "K", "K is not expected after =", "with a whole number"),
    "a count of many digits": Mistake("count L = 1000000000000\nh' = W[L] x", 1, "1000000000000", "1000000000000 is too large", "Counts are small numbers"),
    "a huge count": Mistake("count L = 100000000\na[l] = W x for l = 1..L\nh' = a[1]", 2, "l = 1..L", "repetition makes too much of this (L = 100000000)", "is a count too large?"),
    "a huge sum": Mistake("h' = W x + sum(sum(a[i] for i = 0..999) for j = 1..999)", 1, "i = 0..999", "repetition makes too much of this (j = ", "is a count too large?"),
    "huge loops of nothing": Mistake("for i = 1..9999\n  for j = 1..9999\n    a[j] = h for k = 1..0\nh' = W x", 2, "j = 1..9999", "repetition makes too much of this (i = 1, j = ", "is a count too large?"),
    "a range that ends before it begins": Mistake("count k = 0\na[j] = h for j = 1..k-1\nh' = W x", 2, "j = 1..k-1", "1..-1 ends before it begins (k = 0)", "a count is too small here"),
    "a block of nothing": Mistake("for l = 1..2\nh' = W x", 1, "for l = 1..2", "nothing is indented below this line", "Indent the lines that it repeats"),
    "a block at the end": Mistake("h' = W x\nfor l = 1..2  # each", 2, "for l = 1..2  # each", "nothing is indented below this line", "at the end of one"),
    "blocks in blocks": Mistake(BLOCKS, 11, BLOCKS.splitlines()[10].strip(), "blocks nest deeper than 10", "with its for at the end"),
    "a range in Python": Mistake("for l in range(2):\n  h' = W x", 1, "in", "in is not expected after l", "Write for l = 2..L"),
    "a range with a colon": Mistake("h' = W x + sum(b[l] for l = 1:3)", 1, ":", ": is not expected after 1", "Write for l = 2..L"),
    "a range with three dots": Mistake("h' = W x + sum(b[l] for l = 1...3)", 1, ".3", ".3 is not expected after 1..", "Write for l = 2..L"),
    "a range without a variable": Mistake("h' = W x for 1..3", 1, "for", "for is not expected after x", "Write for l = 2..L"),
    "a range that ends early": Mistake("h' = W x for l = 1..", 1, " ", "the line ends too early", "Write for l = 2..L"),
    "a function over a range": Mistake("h' = W x + max(a[k] for k = 1..2)", 1, "max(a[k] for k = 1..2)", "only a sum of one value takes a for", "Write sum(v[k] for k = …)"),
    # sizes
    "size declared and unused": Mistake("size K = 2\nh' = W x", 1, "K", "K is declared but never used", "Use it in a shape, as b : K"),
    "size declared twice": Mistake("size K = 2\nsize K = 2\nvector b : K\nh' = W x + R b", 2, "K", "K is set a second time", "Remove one of the lines"),
    "a size and a count": Mistake("count K = 2\nsize K = 2\nvector b : K\nh' = W[K] x + R b", 2, "K", "K is set a second time", "Remove one of the lines"),
    "a size of every cell": Mistake("size I = 2\nvector b : I\nh' = W (x + b)", 1, "I", "I is the size of the input", "Give the size another name"),
    "a size of nothing": Mistake("size K = 0\nvector b : K\nh' = W x + R b", 1, "size K = 0", "the size K is of nothing", "at least 1"),
    "a size in a block": Mistake("for l = 1..2\n  size K = 2\nvector b : K\nh' = W x + R b", 2, "K", "a size is declared once", "above what is repeated"),
    "a size with a small letter": Mistake("size k = 2\nh' = W x", 1, "k", "k is not expected after size", "with a capital letter"),
    "size without a number": Mistake("size K\nh' = W x", 1, " ", "the line ends too early", "Write size K = 20"),
    "a size as an index": Mistake("size K = 2\nvector b : K\nh' = W[K] x + R b", 3, "K", "K is no count", "count K = 2"),
    "a count as a size": Mistake("count K = 2\nvector b : K\nh' = W[K] x + R b", 3, "h' = W[K] x + R b", "unknown size K", "size K = 20"),
    "mixed declared sizes": Mistake("size K = 2\nvector b : K\nh' = W x + b", 3, "W x + b", "the new value of h would need H and K to be equal", "with a matrix"),
    # what a cell has to have
    "no state": Mistake("y = W x\noutput y", 2, "output y", "no equation sets a state", "h' = …"),
    "no input": Mistake("h' = R h", 1, "h' = R h", "the cell never reads its input x", "W x"),
    "no input, in a range": Mistake("h[l]' = R h[l] for l = 1..2", 1, "h[l]' = R h[l] for l = 1..2", "the cell never reads its input x", "W x"),
}  # fmt: skip


@pytest.mark.parametrize("mistake", MISTAKES.values(), ids=MISTAKES.keys())
def test_in_a_text(mistake: Mistake) -> None:
    with pytest.raises(CellError) as caught:
        parse(mistake.text, "my")
    e = caught.value
    assert isinstance(e.place, Place)
    line = mistake.text.splitlines()[mistake.line - 1]
    assert (e.place.line, e.place.text) == (mistake.line, line)
    assert mistake.message in e.message
    assert mistake.remedy in e.remedy
    shown = str(e).split("\n")
    assert shown[0] == f"my.cell:{mistake.line}: {e.message}"
    if mistake.under:
        first, last = shown[2].index("^"), shown[2].rindex("^")
        assert f"{shown[1]} "[first : last + 1] == mistake.under


def test_the_format_in_full() -> None:
    text = "\n" + PEEPHOLE.replace("f  =", "   f =").replace("f * c +", "").replace(
        "b_f)", "b_f)  # keep"
    )
    with pytest.raises(CellError) as caught:
        parse(text, "my", "cells/my.cell")
    assert str(caught.value) == (
        "cells/my.cell:3: c' is read before it is set\n"
        "       f = σ(p_f * c' + W_f x + R_f h + b_f)  # keep\n"
        "                   ^^\n"
        "c' is set on line 5. Write c for the value from the step before, or move this equation "
        "below line 5."
    )


def test_tabs_count_as_one_column() -> None:
    with pytest.raises(CellError) as caught:
        parse("\th' =\tW x + B")
    line, carets = str(caught.value).split("\n")[1:3]
    assert line[carets.index("^")] == "B"


def test_a_long_line_is_shown_around_the_place() -> None:
    with pytest.raises(CellError) as caught:
        parse("h' = " + "W x + " * 90 + "?")
    line, carets = str(caught.value).split("\n")[1:3]
    assert len(line) <= 124
    assert line[carets.index("^")] == "?"


@pytest.mark.parametrize("text", ["", "\n\n", "# only a comment", "title: nothing else", "\ufeff"])
def test_no_equation(text: str) -> None:
    with pytest.raises(
        CellError, match=r"my\.cell: there is no equation here\. Write at least one"
    ):
        parse(text, "my")


# --- files --------------------------------------------------------------------------------------


def refused(which: str | Path) -> str:
    with pytest.raises(CellError) as caught:
        cell(which)
    return str(caught.value)


def test_errors_in_a_file_name_it_as_it_was_given(tmp_path: Path) -> None:
    path = tmp_path / "my.cell"
    path.write_text("h' = W x\n\ny = B\n", "utf-8")
    assert refused(path).startswith(
        f"{path}:3: B is a matrix and stands alone\n    y = B\n        ^\n"
    )
    assert refused(str(path)).startswith(f"{path}:3: ")


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_line_numbers_with_any_line_ends(tmp_path: Path, newline: str) -> None:
    path = tmp_path / "my.cell"
    path.write_bytes(newline.join(("# one", "h' = W x", "y = B")).encode())
    assert f"{path}:3: B is" in refused(path)


def test_a_file_that_is_not_utf8(tmp_path: Path) -> None:
    path = tmp_path / "my.cell"
    path.write_bytes("h' = W x\n# caf\u00e9\n".encode("latin-1"))
    assert refused(path) == (
        f"{path}: line 2 is not UTF-8 text. Save the file as UTF-8; is this the right file?"
    )


def test_a_missing_file(tmp_path: Path) -> None:
    path = tmp_path / "my.cell"
    assert refused(path) == (
        f"{path}: cannot be read: No such file or directory. Name a text file with equations."
    )


def test_a_name_no_file_can_have() -> None:
    assert "cannot be read: " in refused("a\0.cell")


def test_a_directory(tmp_path: Path) -> None:
    assert f"{tmp_path}: cannot be read: Is a directory" in refused(tmp_path)


@pytest.mark.parametrize("text", ["for l = 1..0\n  h' = W x", "count L = 2"])
def test_no_equation_is_left(text: str) -> None:
    with pytest.raises(CellError, match=r"my\.cell(:1)?: (there is no equation|L is declared)"):
        parse(text, "my")


def test_a_huge_file(tmp_path: Path) -> None:
    path = tmp_path / "my.cell"
    path.write_bytes(b"h' = W x\n" * 120_000)
    assert f"{path}: larger than 1000000 bytes" in refused(path)


def test_a_file_that_never_ends() -> None:
    assert "/dev/zero: larger than" in refused("/dev/zero")


@pytest.mark.parametrize(
    ("name", "meant"),
    [("lstn", "lstm"), ("LSTM2", "lstm"), ("peephole-lstm", "peephole_lstm"), ("gruu", "gru")],
)
def test_an_unknown_name_near_a_known_one(name: str, meant: str) -> None:
    message, remedy = refused(name).split(". ", 1)
    assert message == f"{name}: there is no such cell"
    assert remedy.startswith(f"Did you mean {meant}? cellwright list has ")
    assert remedy.endswith(f"a file is named with its ending: ./{name}.cell")


@pytest.mark.parametrize("name", ["", "zzzzzz", "  "])
def test_an_unknown_name_near_none(name: str) -> None:
    message, remedy = refused(name).split(". ", 1)
    assert message.endswith(": there is no such cell")
    assert remedy.startswith("cellwright list has ")


@pytest.mark.parametrize("name", ["show", ".", "./", "grid"])
def test_a_name_of_something_else_is_no_slip_for_a_cell(name: str) -> None:
    assert "Did you mean" not in refused(name)


def test_a_name_no_file_would_have_is_not_proposed_for_one() -> None:
    assert refused("a b").endswith("a file is named with its ending: ./my_cell.cell")


def test_equations_where_a_name_belongs() -> None:
    assert refused("h' = tanh(W x)") == (
        "<text>: this is no name but equations. cellwright.parse(text) makes a cell of them."
    )


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("rhn(M=3)", "rhn(M=3): no argument is called 'M', and the cell has the count L. "
                     "cellwright show rhn says what it has."),
        ("np(L=1)", "np(L=1): no argument is called 'L', and the cell has none to be set. "
                    "cellwright show np says what it has."),
        ("rhn(l=3)", "rhn(l=3): no argument is called 'l', and the cell has the count L. "
                     "Did you mean L? cellwright show rhn says what it has."),
        ("rhn(L=1.5)", "rhn(L=1.5): the count L must be a whole number of at least 0, got 1.5. "
                       "cellwright show rhn says what it has."),
        ("rhn(3)", "rhn(3): '3' gives no option. Write rhn(NAME=NUMBER), with commas between "
                   "several."),
        ("rhn(L=x)", "rhn(L=x): 'L=x' gives no option. Write rhn(NAME=NUMBER), with commas between "
                     "several."),
        ("rhn(L=1,L=2)", "rhn(L=1,L=2): L is given twice. Write rhn(NAME=NUMBER), with commas "
                         "between several."),
        ("rhns(L=1)", "rhns: there is no such cell. Did you mean rhn? cellwright list has the cells "
                      "there are; a file is named with its ending: ./rhns.cell"),
        ("my.cell(L=1)", "my.cell: cannot be read: No such file or directory. Name a text file with "
                         "equations."),
        ("rhn(L=0)", "rhn.cell:11: 2..0 ends before it begins (L = 0)"),
    ],
)  # fmt: skip
def test_options_that_are_none(name: str, said: str) -> None:
    assert refused(name).partition("\n")[0] == said


def test_what_is_no_name() -> None:
    with pytest.raises(TypeError, match="a cell is a name, a path or a Cell, got int"):
        cell(3)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"the text of a cell is a string, got PosixPath; .* path"):
        parse(Path("my.cell"))  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="the name of a cell is a string, got int"):
        parse("h' = tanh(W x)", name=3)  # type: ignore[arg-type]
