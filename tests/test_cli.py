"""The command line as a person or a script runs it: in a process of its own."""

from __future__ import annotations

import os
import pty
import re
import select
import subprocess
import sys
import time
from datetime import date, timedelta
from pathlib import Path

import pytest

from cellwright.cli import app
from cellwright.export.latex import latex
from cellwright.language import cell, cell_names, program
from cellwright.program.derivative import derivative
from cellwright.schedule import selection
from tiny import write_music

COMMAND = [sys.executable, "-c", "from cellwright.cli import main; main()"]


def cellwright(*words: object, code: int = 0, folder: Path | None = None) -> str:
    """What a command prints into a pipe, errors included."""
    done = subprocess.run(
        [*COMMAND, *map(str, words)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
        check=False,
        cwd=folder,
    )
    assert done.returncode == code, done.stdout
    assert "Traceback" not in done.stdout
    assert "\x1b" not in done.stdout
    return done.stdout


def on_a_terminal(*words: object) -> list[str]:
    """The lines of a command on a terminal of 80 columns, without colours."""
    ours, theirs = pty.openpty()
    environment = {**os.environ, "COLUMNS": "80", "LINES": "40", "TERM": "xterm-256color"}
    process = subprocess.Popen(
        [*COMMAND, *map(str, words)], stdout=theirs, stderr=theirs, stdin=theirs, env=environment
    )
    os.close(theirs)
    printed = b""
    until = time.monotonic() + 60
    while time.monotonic() < until and select.select([ours], [], [], 30)[0]:
        try:
            printed += os.read(ours, 65536)
        except OSError:  # nobody is at the other end any more
            break
    assert process.wait(30) == 0
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", printed.decode()).splitlines()


# --- what is shown ------------------------------------------------------------------------------


def names_of(listed: str) -> list[str]:
    """The cells of a list, in its order."""
    rows = listed.split("─\n", 1)[1].split("\n\n", 1)[0]
    return [line.split()[0] for line in rows.splitlines()]


def test_list_has_every_cell_with_its_facts() -> None:
    listed = cellwright("list")
    assert names_of(listed) == list(cell_names())
    lstm = next(line for line in listed.splitlines() if line.split()[:1] == ["lstm"])
    assert re.fullmatch(r" lstm \(np\) +Long short-term memory +2 1 +33,024 32,768 +1,792", lstm)
    assert "For input size 64, hidden size 64." in listed
    other = cellwright("list", "--size", "88,36")
    assert "input size 88, hidden size 36" in other
    assert re.search(r"lstm \(np\) .* 18,000 17,856 +1,008\n", other)


def test_list_of_a_kind_in_an_order() -> None:
    words = ("--like", "np", "--stages", "2", "--no-scannable", "--no-elementwise", "--states", "1")
    found = names_of(cellwright("list", *words, "--sort", "memory", "--size", "10,20"))
    kind = selection.Conditions(elementwise=False, linear=False, stages=2, states=1, like="lstm")
    assert found == [c.name for c, _ in selection.select(kind, {"I": 10, "H": 20}, "memory")]
    assert {"mgu", "gru_reset_before"} <= {*found}
    assert "Nothing matches: no cell of the catalogue" in cellwright("list", "--states", "99")


def test_a_narrow_list_has_the_count_that_it_is_sorted_by() -> None:
    lines = on_a_terminal("list", "--sort", "memory", "--elementwise", "--scannable")
    assert lines[1].split() == ["cell", "what", "it", "is", "states", "stages", "params", "memory"]


def test_show_has_equations_captions_counts_and_paper() -> None:
    shown = cellwright("show", "peephole_lstm")
    assert "c' = f * c + i * z" in shown
    assert "output gate; its peephole sees the new memory" in shown
    assert re.search(r"W_i W_f W_z W_o +\(H, I\) +±1/√H +16,384", shown)
    assert re.search(r"all +33,216", shown)
    assert "Learning precise timing with LSTM recurrent networks" in shown
    assert cellwright("show", "np") == cellwright("show", "lstm")


def test_show_has_options_and_what_they_are() -> None:
    shown = cellwright("show", "rhn(L=3)")
    assert shown.startswith("rhn(L=3): Recurrent highway network\n")
    assert re.search(r"\n  for l = 2\.\.L +.*\n      n\[l\] = tanh\(R_n\[l\] s\[l-1\]", shown)
    assert re.search(r"\n L +3 +2 +highway layers a step\n", shown)
    assert 'Recurrent("rhn", …, L=3), or "rhn(L=3)" wherever a cell is named; a shell' in shown
    assert re.search(r"\n beta +1 +1 +how much more", cellwright("show", "janet"))
    janet = cellwright("show", "janet(beta=1.2345678)")
    assert re.search(r"\n beta +1\.2345678 +1 +how much", janet)
    assert '"janet(beta=0.5)" wherever' in janet
    assert "options" not in cellwright("show", "lstm")


def test_show_derivative_is_a_program_of_the_language(capsys: pytest.CaptureFixture[str]) -> None:
    """What is piped into a file reads back."""
    assert program(cellwright("show", "lstm", "--derivative"))
    for name in cell_names():
        app(["show", name, "--derivative"], result_action="return_value")
        assert program(capsys.readouterr().out) == derivative(cell(name).program).backward


def test_show_derivative_says_what_is_saved_under_a_new_name() -> None:
    saved = "Saved, beside what has a name: h_old = h, v = R_n h + b_hn."
    assert saved in cellwright("show", "gru", "--derivative")


def test_show_schedule_says_what_runs_when() -> None:
    shown = cellwright("show", "gru_reset_before", "--schedule")
    title, ahead, step, foot = re.split(r"\n(?=\S)", shown)
    assert title.startswith("gru_reset_before: ")
    first, *products = ahead.splitlines()
    assert first == "Ahead of the loop, for many steps at once"
    assert {line.split(" = ")[1] for line in products if line} == {"W_z x", "W_n x", "W_r x"}
    _, one, two = step.split("  Stage ")
    assert one.startswith("1 of 2\n")
    assert "    r = sigmoid(b_r + " in one
    assert two.startswith("2 of 2\n")
    reset = re.search(r"(\w+) = r \* h\n", one)
    assert f" = R_n {reset[1]}\n" in two
    assert "    h' = " in two
    assert foot == "Saved in each step for the backward pass: z; n; h; r.\n"


def test_show_schedule_of_the_backward_pass() -> None:
    shown = cellwright("show", "rnn", "--schedule", "--derivative")
    title, step, behind, added, foot = re.split(r"\n+(?=\S)", shown)
    assert title == "The backward pass of rnn: The simple recurrent network"
    assert step.startswith("Each step\n  Stage 1 of 2\n")
    assert step.endswith("  Stage 2 of 2\n    d_h' = R^T delta_h_new")
    assert behind == "Behind the loop, for many steps at once\n    d_x = W^T delta_h_new"
    assert added.splitlines() == [
        "Added up over steps and sequences",
        "    d_W = outer(delta_h_new, x)",
        "    d_R = outer(delta_h_new, h_old)",
        "    d_b = delta_h_new",
    ]
    assert foot == "Saved in each step for the backward pass: h'; h.\n"


def test_show_has_what_follows_from_the_equations() -> None:
    shown = cellwright("show", "mgu")
    assert "a step    16,384 multiply-adds; units wait twice for one another\n" in shown
    assert "training  keeps 192 numbers a step, 768 bytes in float32\n" in shown
    shown = cellwright("show", "min_gru", "--size", "10,20")
    assert "a step    400 multiply-adds; units never wait for one another; linear" in shown
    assert "a scan can run it" in shown


def test_show_latex_is_what_a_document_takes() -> None:
    assert cellwright("show", "lstm", "--latex") == latex(cell("lstm"))
    assert on_a_terminal("show", "fgr", "--latex") == latex(cell("fgr")).splitlines()


def test_piped_lines_are_as_long_as_they_are() -> None:
    lines = cellwright("show", "lstm").splitlines()
    assert all(line == line.rstrip() for line in lines)
    assert any("A memory line c runs through time" in line and "always added." in line
               for line in lines)  # fmt: skip


def test_an_output_without_greek_letters_shows_a_question_mark() -> None:
    done = subprocess.run(
        [*COMMAND, "show", "lstm"],
        capture_output=True,
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
        check=True,
    )
    assert b"i = ?(W_i x + R_i h + b_i)" in done.stdout


def test_diff_marks_what_differs() -> None:
    shown = cellwright("diff", "lstm", "peephole_lstm")
    assert "«p_i * c +»" in shown
    assert "3 of 6 equations are the same" in shown
    assert "The equations are the same." in cellwright("diff", "lstm", "np")
    options = cellwright("diff", "janet", "janet(beta=2)")
    assert re.search(r"\n «beta = 1» +«beta = 2»\s*\n", options)
    assert "« » marks what differs; the equations are the same." in options
    assert "«n[3] = tanh(R_n[3] s[2] + b_n[3])»" in cellwright("diff", "rhn", "rhn(L=3)")
    assert cellwright("diff", "peephole_lstm") == cellwright("diff", "lstm", "peephole_lstm")


def test_diff_of_one_cell_that_is_like_none() -> None:
    assert cellwright("diff", "rnn", code=1) == (
        "rnn: there is no like: line, so nothing to compare it with. Name two cells: "
        "cellwright diff OTHER rnn\n"
    )


def test_diagram_says_where_it_wrote(tmp_path: Path) -> None:
    assert cellwright("diagram", "np", folder=tmp_path) == "Diagram: lstm.svg\n"
    drawn = (tmp_path / "lstm.svg").read_text("utf-8")
    assert drawn.startswith("<svg ")
    assert "data-changed" not in drawn
    assert cellwright("diagram", "rhn(L=3)", folder=tmp_path) == "Diagram: rhn_L3.svg\n"
    assert ">rhn(L=3): " in (tmp_path / "rhn_L3.svg").read_text("utf-8")
    mine = tmp_path / "mine.cell"
    mine.write_text("h' = relu(W x + R h)\n")
    picture = tmp_path / "picture.svg"
    said = cellwright("diagram", mine, "-o", picture, "--against", "rnn", folder=tmp_path)
    assert said == f"Diagram: {picture}\n"
    assert 'data-changed="h\'"' in picture.read_text("utf-8")


def test_check_of_a_name_that_a_folder_has_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "lstm").mkdir()
    assert cellwright("check", "lstm").startswith("lstm: ok")
    assert "there is no such cell" in cellwright("check", "", code=1)


def test_check_says_what_a_file_means(tmp_path: Path) -> None:
    file = tmp_path / "mine.cell"
    file.write_text("h' = tanh(W x + R h + bias)\n")
    said = cellwright("check", file)
    assert "mine: ok" in said
    assert re.search(r"learned vectors +bias +\(H,\)", said)
    assert re.search(r"options +L = 4\n", cellwright("check", "rhn(L=4)"))
    assert "did you mean" not in said
    file.write_text("h' = tanh(R h + x)\n")
    said = cellwright("check", file)
    assert "input_size == hidden_size" in said
    file.write_text("gate = σ(W x)\nh' = gate * tanh(W_h x + R h) + gatte\n")
    said = cellwright("check", file)
    assert "No equation sets gatte, so it is learned; or did you mean gate?" in said


def test_check_of_the_catalogue_finds_no_misspelt_name(capsys: pytest.CaptureFixture[str]) -> None:
    for name in cell_names():
        app(["check", name], result_action="return_value")
        said = capsys.readouterr().out
        assert f"{name}: ok" in said
        assert "did you mean" not in said


def test_a_file_is_checked_whatever_its_name(tmp_path: Path) -> None:
    (tmp_path / "lstm").write_text("h' = W x + B\n")
    assert "lstm:1: B is a matrix" in cellwright("check", "lstm", code=1, folder=tmp_path)


def test_doctor_names_the_backends() -> None:
    said = cellwright("doctor")
    assert re.search(r"reference +cpu +works", said)
    assert "torch" in said


@pytest.mark.parametrize(
    "words",
    [
        ("list",),
        ("diff", "lstm", "fgr"),
        ("doctor",),
        ("compare", "--help"),
        ("data", "check", "temporal_order(train=9)"),
        *(("show", name) for name in ("fgr", "janet", "gru", "rhn(L=7)", "scrn", "qrnn")),
        ("show", "lstm", "--derivative"),
    ],
    ids=" ".join,
)
def test_everything_fits_into_80_columns(words: tuple[str, ...]) -> None:
    lines = on_a_terminal(*words)
    assert len(lines) > 5
    assert max(map(len, lines)) <= 80


def test_a_reader_that_has_enough_ends_it_quietly() -> None:
    done = subprocess.run(
        f"{sys.executable} -c 'from cellwright.cli import main; main()' list | head -1",
        shell=True,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""


# --- mistakes -----------------------------------------------------------------------------------


def test_check_shows_the_place_and_the_remedy(tmp_path: Path) -> None:
    file = tmp_path / "my.cell"
    file.write_text("f = σ(p * c' + W x)\nc' = c + W x\nh' = f * c'\n")
    assert cellwright("check", file, code=1) == (
        f"{file}:1: c' is read before it is set\n"
        "    f = σ(p * c' + W x)\n"
        "              ^^\n"
        "c' is set on line 2. Write c for the value from the step before, or move this equation "
        "below line 2.\n"
    )


def test_mistakes_are_told_without_a_stack_trace(tmp_path: Path) -> None:
    binary = tmp_path / "binary.cell"
    binary.write_bytes(bytes(range(256)))
    for words, message, code in (
        (("show", "peephole"), "Did you mean peephole_lstm?", 1),
        (("diff", "lstm", "absent.cell"), "absent.cell: cannot be read: No such file", 1),
        (("diagram", "peephole"), "Did you mean peephole_lstm?", 1),
        (("diagram", "lstm", "--against", "peephole"), "Did you mean peephole_lstm?", 1),
        (("diagram", "lstm", "-o", "b.png"), "Write it to b.svg", 1),
        (("show", "rhn(L="), 'the options of rhn cannot be read. Write "rhn(NAME=NUMBER)"', 1),
        (("show", "there/lstm.cell"), "No such file or directory. Did you mean lstm?", 1),
        (("diagram", "lstm", "-o", tmp_path), "cannot be written: Is a directory", 1),
        (("check", tmp_path), "cannot be read: Is a directory", 1),
        (("check", binary), "is not UTF-8 text", 1),
        (("show", "lstm", "--size", "64,0"), "a size is input size and hidden size, as 100,64", 1),
        (("list", "--size", "64"), "a size is input size and hidden size, as 100,64; got '64'", 1),
        (("list", "--like", "lsmt"), "Did you mean lstm?", 1),
        (("show", "rhn(M=1)"), "no argument is called 'M', and the cell has the count L", 1),
        (("chek", binary), "Unknown command", 2),
    ):
        assert message in cellwright(*words, code=code)


def test_nothing_is_compiled_where_a_word_is_wrong(tmp_path: Path) -> None:
    for words, message in (
        (("lstm", "peephole"), "Did you mean peephole_lstm?"),
        (("lstm", "--target", "baseline", "--target", "vax"), "called 'vax': choose "),
    ):
        said = cellwright("build", *words, "--out", tmp_path / "built", code=1)
        assert message in said
        assert said.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_every_argument_is_described() -> None:
    commands = [app[name] for name in app if not name.startswith("-")]
    commands += [one[name] for one in commands for name in one if not name.startswith("-")]
    described = [
        (command.name, argument.name, argument.parameter.help)
        for command in commands
        if command.default_command
        for argument in command.assemble_argument_collection(parse_docstring=True)
    ]
    assert len(described) > 60
    assert not [(command, name) for command, name, words in described if not words]


# --- data ---------------------------------------------------------------------------------------


def test_data_check_says_what_would_be_done(tmp_path: Path) -> None:
    poem = tmp_path / "a poem.txt"
    poem.write_text("the rain in spain stays mainly in the plain\n" * 100)
    said = cellwright("data", "check", poem, "--task", "text(chunk=50)")
    assert said.startswith("a poem: ok\n")
    assert re.search(r"task +text: predict the next character of a poem\n", said)
    assert re.search(r"a model reads +one of 14 symbols a step, one-hot\n", said)
    assert re.search(r"train +3,960\n", said)
    assert re.search(r"bigram: counting which character follows which +\d\.\d{3}\n", said)
    last = said.splitlines()[-1]
    assert last == f"Compare cells on it: cellwright compare '{poem}' --task 'text(chunk=50)'"
    assert "adding the" not in cellwright("data", "check", "adding(T=5,train=50)")


def test_data_check_warns_of_parts_that_are_too_small(tmp_path: Path) -> None:
    path = tmp_path / "load.csv"
    for days, small in ((40, True), (400, False)):
        rows = (f"{date(2026, 1, 1) + timedelta(k)},{k % 7}" for k in range(days))
        path.write_text("\n".join(["date,load", *rows]))
        said = cellwright("data", "check", path, "--task", "forecast(horizon=2,context=2,season=2)")
        assert said.startswith("load: can be read, but is too small\n" if small else "load: ok\n")
        assert ("Of windows validation has" in said) == small
        assert (": fewer than 20 say little of others" in said) == small
        assert ("Compare cells on it all the same: " in said) == small


def test_data_check_says_what_is_wrong(tmp_path: Path) -> None:
    path = tmp_path / "load.csv"
    path.write_text("date,load\n2026-01-01,1\n2026-01-02,2\n2026-01-03,x\n2026-01-04,2\n")
    for words, message in (
        ((path,), f"{path}: column load, line 4 is 'x'. Expected a finite number"),
        ((path, "--task", "music"), "it cannot be read as music. Expected a MATLAB v5 file"),
        ((path, "--task", "forcast"), "there is no such task for files. Choose from music"),
        (("ading",), "Did you mean adding?"),
    ):
        said = cellwright("data", "check", *words, code=1)
        assert message in said
        assert said.count("\n") == 1


# --- compare ------------------------------------------------------------------------------------


def test_compare_from_a_file_to_a_report(tmp_path: Path) -> None:
    data = write_music(tmp_path / "melodies.npz")
    cells = "rhn(L=1),rhn(L=3)"
    words = ("compare", data, "--cells", cells, "--parameters", "200", "--seeds", "2")
    said = cellwright(*words, "--out", tmp_path / "out", "--minutes", "0.01")
    assert "[4/4]" in said
    report = (tmp_path / "out" / "report.html").read_text()
    assert all(name in report for name in ("rhn(L=1)", "rhn(L=3)", "s[2] = t[2] * n[2]"))
    assert said.splitlines()[-1] == f"Report: {tmp_path / 'out' / 'report.html'}"
    model, _ = sorted((tmp_path / "out" / "models").iterdir())
    assert cellwright("trace", model, data, "-o", tmp_path / "g.html") == (
        f"Gates: {tmp_path / 'g.html'}\n"
    )
    assert 'data-name="t_1"' in (tmp_path / "g.html").read_text()


def test_mistakes_in_compare_are_one_line_each(tmp_path: Path) -> None:
    data = write_music(tmp_path / "melodies.npz")
    text = tmp_path / "notes.txt"
    text.write_bytes(b"hello\0")
    taken = tmp_path / "taken"
    taken.write_text("a file")
    for words, message in (
        ((tmp_path / "melody.npz",), "Did you mean"),
        ((text,), "not a data file"),
        ((data, "--cells", "lstm,peephole"), "Did you mean peephole_lstm?"),
        ((data, "--parameters", "10"), "use --parameters 47 or more"),
        ((data, "--out", taken), "cannot be written"),
        ((data, "--seeds", "0"), "--seeds must be a whole number of at least 1"),
    ):
        said = cellwright("compare", *words, code=1, folder=tmp_path)
        assert message in said
        assert said.count("\n") == 1
