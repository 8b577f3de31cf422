"""Recorded pages: what is compared of two runs, and what is left alone when one is written."""

from support.recorded_page import Recorded, commands, comparable, with_outputs

PAGE = """# A page

```console
$ a --b
one
$ c
```

```bash
$ not run
```
"""


def test_commands_are_those_of_console_blocks() -> None:
    assert commands(PAGE) == [Recorded("a --b", "one"), Recorded("c", "")]


def test_only_outputs_are_written() -> None:
    written = with_outputs(PAGE, lambda each: f"printed by {each.command}")
    assert commands(written) == [
        Recorded("a --b", "printed by a --b"),
        Recorded("c", "printed by c"),
    ]
    assert written.endswith("```bash\n$ not run\n```\n")


def test_what_differs_from_run_to_run_is_not_compared() -> None:
    first = "2026-11-28 02:26:13Z  a4c81d36-7f25-4e9b-90d1-5c3e7a9b1f68  ~0.70 USD"
    then = "2026-12-01 10:00:00Z  0b9e4c1e-5d0c-4f6e-9a64-0d9a2b6e2f11    ~10.71 USD"
    assert comparable(first) == comparable(then)


def test_what_is_the_same_in_each_run_is_compared() -> None:
    assert comparable("cost  0.13 USD for 0:02:05") != comparable("cost  0.14 USD for 0:02:05")
    assert comparable("j1  Done") != comparable("j1  UserError")
