"""Foreach loops over what can be known: one mail becomes many messages, anything else a mapped group."""

from __future__ import annotations

import pytest

from airflow_smtp_cm.macros.ssis.data_types import DataType
from airflow_smtp_cm.ssis.kinds import Kind
from airflow_smtp_cm.ssis.model import Executable, FileEnumerator, Foreach, Outcome
from airflow_smtp_cm.ssis.writing.findings import Status
from tests.ssis.building import Converted, arrow, handler, mail, package, task, variable

LOOP = "Package\\Each"
REGIONS = Foreach(
    variables={0: "User::Region", 1: "User::Number"}, rows=(("North {{ 1 }}", "1"), ("South", "2"), ("West", "3"))
)
NUMBER = "(DT_WSTR, 9)@[User::Number]"


def loop(*executables, foreach=REGIONS, **given):
    return Executable(
        ref_id=LOOP,
        name="Each",
        kind=Kind.FOREACH_LOOP,
        type="STOCK:FOREACHLOOP",
        executables=executables,
        foreach=foreach,
        **given,
    )


def looping(*executables, **given):
    variables = (
        variable("Region", "stale"),
        variable("Number", "0", DataType.I4),
        variable("File", "stale"),
        variable("Quiet", "False", DataType.BOOL),
    )
    return package(*executables, variables=variables, **given)


def send(name="Send", **expressions):
    return mail(name, LOOP, expressions={"Subject": f'@[User::Region] + " is no. " + {NUMBER}'} | expressions)


SUBJECTS = ["North {{ 1 }} is no. 1", "South is no. 2", "West is no. 3"]


def test_one_mail_becomes_a_message_for_each_item(subjects_of):
    root = looping(loop(send()))
    source = Converted(root).source

    assert subjects_of(root) == SUBJECTS
    assert source.count("SendMailOperator(") == 1
    assert "messages=[" in source
    assert "Param(" not in source


def test_items_that_disable_the_mail_get_no_message(subjects_of):
    root = looping(loop(send(Disable="@[User::Number] == 2")))

    assert subjects_of(root) == [SUBJECTS[0], SUBJECTS[2]]


def test_a_disable_that_is_the_same_for_all_items_is_kept(subjects_of):
    root = looping(loop(send(Disable="@[User::Quiet]")))

    assert subjects_of(root) == SUBJECTS
    assert subjects_of(root, conf={"Quiet": True}) == []


def test_a_disable_that_differs_and_depends_on_the_run_sends_nothing_and_is_work_to_do(subjects_of):
    root = looping(loop(send(Disable="@[User::Quiet] && @[User::Number] == 2")))

    assert subjects_of(root) == []
    assert f"{LOOP}\\Send: Nothing is sent until you write its disable." in Converted(root).findings()


def test_anything_else_becomes_a_mapped_group(subjects_of):
    body = task("Load", LOOP), send(), mail("Always", LOOP)
    inner = (arrow("Load", "Send", LOOP),)
    root = looping(loop(*body, constraints=inner), task("After"), constraints=(arrow("Each", "After"),))

    assert subjects_of(root) == sorted([*["Always"] * 3, *SUBJECTS])
    assert subjects_of(root, {"each.load"}) == ["Always"] * 3
    assert ".expand(_item=each_items)" in Converted(root).source


@pytest.mark.parametrize("of_the_loop", [True, False])
def test_a_handler_of_a_loop_with_one_mail_knows_the_item(subjects_of, of_the_loop):
    owner = LOOP if of_the_loop else f"{LOOP}\\Send"
    place = f"{owner}.EventHandlers[OnPostExecute]"
    tell = mail("Tell", place, expressions={"Subject": '@[User::Region] + " is told"'})
    handlers = (handler(owner, "OnPostExecute", tell),)
    sent = mail("Send", LOOP, event_handlers=() if of_the_loop else handlers)
    root = looping(loop(sent, event_handlers=handlers if of_the_loop else ()))

    assert "Param(" not in Converted(root).source
    told = ["North {{ 1 }} is told", "South is told", "West is told"]
    assert subjects_of(root) == sorted([*["Send"] * 3, *told])


def test_a_connection_that_an_item_decides_is_work_to_do(subjects_of):
    """An operator has one connection."""
    servers = Foreach(variables={0: "User::Region"}, rows=(("Mail",), ("Other",)))
    root = looping(loop(send(SmtpConnection="@[User::Region]"), foreach=servers))
    findings = Converted(root).findings()

    assert subjects_of(root) == []
    assert any("Nothing is sent until you write smtp_conn_id" in line for line in findings)
    assert not any("stored values" in line for line in findings)


def test_a_mail_that_uses_no_item_is_sent_for_each(subjects_of):
    assert subjects_of(looping(loop(mail("Send", LOOP)))) == ["Send"] * 3


def test_an_item_keeps_its_line_ends_where_its_text_is_computed(subjects_of):
    lines = Foreach(variables={0: "User::Region"}, rows=(("North\r\nEast",), ("South",)))
    length = mail("Length", LOOP, expressions={"Subject": "(DT_WSTR, 9)LEN(@[User::Region])"})

    assert subjects_of(looping(loop(task("Load", LOOP), length, foreach=lines))) == ["11", "5"]


def test_the_line_ends_of_other_items_are_newlines():
    lines = Foreach(variables={0: "User::Region"}, rows=(("North\r\nEast",), ("South",)))
    text = mail("Tell", LOOP, expressions={"MessageSource": "@[User::Region]"})

    assert '{"Region": "North\\nEast"}' in Converted(looping(loop(task("Load", LOOP), text, foreach=lines))).source


def test_a_handler_in_a_mapped_group_knows_the_item(subjects_of):
    place = f"{LOOP}\\Load.EventHandlers[OnError]"
    tell = mail("Tell", place, expressions={"Subject": '@[User::Region] + " failed"'})
    load = task("Load", LOOP, event_handlers=(handler(f"{LOOP}\\Load", "OnError", tell),))
    root = looping(loop(load, mail("After", LOOP), constraints=(arrow("Load", "After", LOOP),)))

    assert subjects_of(root, {"each.load"}) == ["North {{ 1 }} failed", "South failed", "West failed"]


@pytest.mark.parametrize(
    "foreach",
    [
        Foreach(variables={0: "User::Number"}, rows=(("not a number",),)),
        Foreach(variables={0: "User::Gone"}, rows=(("a",),)),
        Foreach(variables={1: "User::Region"}, rows=(("a",),)),
        Foreach(variables={0: "User::Region"}, rows=(("a",),) * 1001),
    ],
    ids=["a value of another type", "a variable that is not there", "a value that is not there", "too many"],
)
def test_items_that_cannot_be_in_the_dag_are_reported_as_a_loop_to_map(foreach):
    converted = Converted(looping(loop(send(), foreach=foreach)))

    assert "messages=" not in converted.source
    assert any("runs once. Map it (expand)" in line for line in converted.findings())


def test_a_loop_with_conditions_runs_once_and_is_reported(subjects_of):
    """A condition in a mapped group would look at all items."""
    body = task("Load", LOOP), mail("Failed", LOOP)
    root = looping(loop(*body, constraints=(arrow("Load", "Failed", LOOP, outcome=Outcome.FAILURE),)))

    assert subjects_of(root, {"each.load"}) == ["Failed"]
    assert any("runs once. Map it (expand)" in line for line in Converted(root).findings())


# --- files


def over_files(*body, folder, after=(), **given):
    foreach = Foreach(
        variables={0: "User::File"}, files=FileEnumerator(folder=str(folder), file_spec="*.csv", **given)
    )
    return looping(loop(*body, foreach=foreach), *after, constraints=tuple(arrow("Each", one.name) for one in after))


def named():
    return mail("Name", LOOP, expressions={"Subject": "@[User::File]"})


def test_a_loop_over_files_is_mapped_over_those_that_are_there_when_it_runs(subjects_of, tmp_path):
    (tmp_path / "a.csv").write_text("")
    (tmp_path / "B.CSV").write_text("")
    (tmp_path / "c.txt").write_text("")
    root = over_files(named(), folder=tmp_path, retrieval=1)

    assert subjects_of(root) == ["B.CSV", "a.csv"]
    assert any("The workers need access to them" in line for line in Converted(root).findings())


def test_what_follows_a_loop_without_files_runs(subjects_of, tmp_path):
    root = over_files(named(), folder=tmp_path, after=[mail("After")])

    assert subjects_of(root) == ["After"]


def test_what_follows_a_loop_over_files_does_not_run_if_the_loop_fails(subjects_of, tmp_path):
    (tmp_path / "a.csv").write_text("")
    root = over_files(task("Load", LOOP), folder=tmp_path, after=[mail("After")])

    assert subjects_of(root) == ["After"]
    assert subjects_of(root, {"each.load"}) == []


def test_the_folder_of_a_loop_can_be_an_expression(subjects_of, tmp_path):
    (tmp_path / "a.csv").write_text("")
    root = over_files(
        named(), folder="stale", retrieval=2, expressions={"Directory": f'"{tmp_path.parent}/" + "{tmp_path.name}"'}
    )

    assert subjects_of(root) == ["a"]


def test_a_loop_over_files_that_may_be_disabled_runs_once(tmp_path):
    root = over_files(named(), folder=tmp_path)
    off = loop(named(), foreach=root.root.executables[0].foreach, disabled=True)

    assert "ForeachFileOperator" not in Converted(looping(off)).source


@pytest.mark.parametrize("foreach", [REGIONS, None])
def test_what_a_loop_loops_over_is_skipped_only_if_the_loop_was_not_converted(foreach):
    properties = {"ForEachEnumerator": "Rows", "VariableMapping[0]": "User::Region", "ForEachEnumerator.Rows": "x"}
    each = loop(mail("Tell", LOOP), foreach=foreach, properties=properties)
    variables = variable("Region", ""), variable("Number", "0", DataType.I4)
    skipped = Converted(package(each, variables=variables)).findings(Status.SKIPPED)

    of_loop = [one.removeprefix(f"{LOOP}: ") for one in skipped if one.startswith(LOOP)]
    rest = [] if foreach else ["ForEachEnumerator: Rows", "VariableMapping[0]: User::Region"]
    assert of_loop == [*rest, "ForEachEnumerator.Rows: x"]
