"""Sheets in files that several processes have open."""

import os
import signal
import subprocess
import sys

from app.metrics.shared import FIRST_SIZE, SharedSheet, read_sheet, sheet_files
from tests.app.servers import ROOT


def test_others_see_what_is_written() -> None:
    """What is written in a place is seen by others at once, whatever the lengths of keys and the counts of numbers."""
    with sheet_files(1) as (file,):
        assert read_sheet(file) == []
        sheet = SharedSheet(file)
        for count, key in enumerate([("a",), ("b", "é"), ("c", "x" * 13, "")], start=1):
            place = sheet.place(key, count)
            place[count - 1] = count
            assert sheet.place(key, count) is place
        expected = [(("a",), [1.0]), (("b", "é"), [0.0, 2.0]), (("c", "x" * 13, ""), [0.0, 0.0, 3.0])]
        assert sheet.items() == expected
        assert [(key, list(numbers)) for key, numbers in read_sheet(file)] == expected


def test_a_sheet_grows() -> None:
    """A sheet has room for any number of records, and places from before it grew stay true."""
    with sheet_files(1) as (file,):
        sheet = SharedSheet(file)
        places = [sheet.place((str(number),), 100) for number in range(3 * FIRST_SIZE // 800)]
        for number, place in enumerate(places):
            place[99] = number
        assert os.fstat(file).st_size > 3 * FIRST_SIZE
        assert [numbers[99] for _, numbers in read_sheet(file)] == [*range(len(places))]


def test_the_next_process_goes_on() -> None:
    """Who opens a sheet that another one wrote finds its numbers, and adds others behind them."""
    with sheet_files(1) as (file,):
        SharedSheet(file).place(("a",), 2)[1] = 5
        after = SharedSheet(file)
        after.place(("a",), 2)[1] += 1
        after.place(("b",), 1)[0] = 7
        assert [(key, list(numbers)) for key, numbers in read_sheet(file)] == [(("a",), [0, 6]), (("b",), [7])]


DIE = f"""
import os, signal, sys
from app.metrics.shared import SharedSheet
SharedSheet(int(sys.argv[1])).place(("a",), 1)[0] = 3
os.kill(os.getpid(), signal.{signal.SIGKILL.name})
"""


def test_a_killed_process_leaves_its_numbers() -> None:
    """What a process wrote before it was killed is there for the others."""
    with sheet_files(1) as (file,):
        done = subprocess.run([sys.executable, "-c", DIE, str(file)], cwd=ROOT, pass_fds=[file], check=False)
        assert done.returncode == -signal.SIGKILL
        assert read_sheet(file) == [(("a",), (3.0,))]
