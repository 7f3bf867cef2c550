from jgc.report.look import looks


def test_colour_is_the_pruner_and_dash_is_what_follows():
    found = looks(["global", "fine", "global/none", "fine/none", "global/scratch",
                   "global/scratch-2x", "dense", "qat/mom/ste", "qat", "global+qat 4 bit",
                   "global+qat/none 4 bit"])  # fmt: skip
    assert next(iter(found)) == "dense" and len(found) == 11
    colours = {name: look.colour for name, look in found.items()}
    for one, *same in (
        ("global", "global/none", "global/scratch", "global/scratch-2x"),
        ("fine", "fine/none"),
        ("qat", "qat/mom/ste"),
        ("global+qat 4 bit", "global+qat/none 4 bit"),
    ):
        assert {colours[name] for name in same} == {colours[one]}
    assert len({colours[n] for n in ("global", "fine", "qat", "global+qat 4 bit", "dense")}) == 5
    dashes = {name: look.dash for name, look in found.items()}
    assert dashes["global"] == dashes["dense"] == dashes["qat/mom/ste"] == "-"
    assert dashes["global/none"] == dashes["fine/none"] == dashes["global+qat/none 4 bit"] != "-"
    assert dashes["global/scratch"] == dashes["global/scratch-2x"]
    assert len({dashes[n] for n in ("global", "global/none", "global/scratch")}) == 3


def test_ten_methods_differ_in_colour_and_in_marker():
    found = looks([f"method{i}" for i in range(10)]).values()
    assert len({look.colour for look in found}) == len({look.marker for look in found}) == 10


def test_forty_lines_still_differ():
    assert len({look[:2] for look in looks([f"m{i}" for i in range(40)]).values()}) == 40
