"""Event handlers with mail converted to callbacks: which mails are sent for an event, at each level."""

from __future__ import annotations

from airflow_smtp_cm.macros.ssis.data_types import DataType
from airflow_smtp_cm.ssis.kinds import Kind
from airflow_smtp_cm.ssis.model import Executable, Outcome
from airflow_smtp_cm.ssis.writing.findings import Status
from tests.ssis.building import Converted, arrow, handler, mail, package, task, variable


def group(*executables, **given):
    return Executable(
        ref_id="Package\\Group",
        name="Group",
        kind=Kind.SEQUENCE,
        type="STOCK:SEQUENCE",
        executables=executables,
        **given,
    )


def test_the_packages_handler_is_called_for_each_failed_task(subjects_of):
    naming = mail(
        "Tell",
        "Package.EventHandlers[OnError]",
        expressions={
            "Subject": '@[System::SourceName] + " of " + @[System::PackageName] + ": " + @[System::ErrorDescription]'
        },
    )
    root = package(task("First one"), task("b"), event_handlers=(handler("Package", "OnError", naming),))

    assert subjects_of(root, {"first_one", "b"}) == [
        "First one of Orders: first_one is made to fail",
        "b of Orders: b is made to fail",
    ]
    assert subjects_of(root) == []


def levels(**inner):
    """Return a package with handlers at three levels; ``inner`` are fields of the innermost one."""
    loads = task("a", "Package\\Group", event_handlers=(handler("Package\\Group\\a", "OnError", "of a", **inner),))
    within = group(
        loads, task("b", "Package\\Group"), event_handlers=(handler("Package\\Group", "OnError", "of the group"),)
    )
    return package(within, task("c"), event_handlers=(handler("Package", "OnError", "of the package"),))


def test_an_event_propagates_up_to_the_package(subjects_of):
    root = levels()

    assert subjects_of(root, {"group.a"}) == ["of a", "of the group", "of the package"]
    assert subjects_of(root, {"group.b"}) == ["of the group", "of the package"]
    assert subjects_of(root, {"c"}) == ["of the package"]


def test_a_handler_can_stop_the_propagation(subjects_of):
    assert subjects_of(levels(propagates=False), {"group.a"}) == ["of a"]


def test_a_handler_without_mail_can_stop_the_propagation_too(subjects_of):
    quiet = handler("Package\\Group\\a", "OnError", propagates=False)
    within = group(task("a", "Package\\Group", event_handlers=(quiet,)))
    root = package(within, task("c"), event_handlers=(handler("Package", "OnError", "of the package"),))

    assert subjects_of(root, {"group.a"}) == []
    assert subjects_of(root, {"c"}) == ["of the package"]


def test_a_disabled_handler_is_not_called(subjects_of):
    assert subjects_of(levels(disabled=True), {"group.a"}) == ["of the group", "of the package"]


def test_several_mails_and_handlers_are_all_called(subjects_of):
    root = package(
        task("a"),
        event_handlers=(handler("Package", "OnError", "one", "two"), handler("Package", "OnTaskFailed", "three")),
    )

    assert subjects_of(root, {"a"}) == ["one", "three", "two"]


def test_on_post_execute_is_called_after_success_and_failure(subjects_of):
    root = package(task("a"), task("b"), event_handlers=(handler("Package", "OnPostExecute", "done"),))

    assert subjects_of(root, {"a"}) == ["done", "done"]
    findings = Converted(root).findings()
    assert any("OnPostExecute of containers and of the package" in line for line in findings)


def test_precedence_operators_cause_no_events(subjects_of):
    root = package(
        task("a"),
        task("b"),
        constraints=(arrow("a", "b"),),
        event_handlers=(handler("Package", "OnError", "failed"), handler("Package", "OnPostExecute", "done")),
    )
    handled = package(
        *root.root.executables,
        task("c"),
        constraints=(arrow("a", "b"), arrow("b", "c", outcome=Outcome.FAILURE)),
        event_handlers=root.root.event_handlers,
    )

    assert subjects_of(root, {"a"}) == ["done", "failed"]
    assert subjects_of(handled, {"b"}) == ["done", "done", "done", "failed"]


def test_a_mail_of_a_handler_can_be_disabled(subjects_of):
    place = "Package.EventHandlers[OnError]"
    root = package(
        task("a"),
        variables=(variable("Quiet", "False", DataType.BOOL),),
        event_handlers=(
            handler(
                "Package",
                "OnError",
                mail("never", place, disabled=True),
                mail("unless quiet", place, expressions={"Disable": "@[User::Quiet]"}),
            ),
        ),
    )

    assert subjects_of(root, {"a"}) == ["unless quiet"]
    assert subjects_of(root, {"a"}, {"Quiet": True}) == []


def test_mails_in_containers_of_a_handler_are_sent_unless_these_are_disabled(subjects_of):
    place = "Package.EventHandlers[OnError]"

    def within(name, **given):
        return Executable(
            ref_id=f"{place}\\{name}",
            name=name,
            type="STOCK",
            executables=(mail(f"in {name}", f"{place}\\{name}"),),
            **given,
        )

    root = package(
        task("a"),
        event_handlers=(
            handler(
                "Package",
                "OnError",
                within("a group", kind=Kind.SEQUENCE),
                within("an idle one", kind=Kind.SEQUENCE, disabled=True),
                within("a quiet one", kind=Kind.SEQUENCE, expressions={"Disable": "1 == 1"}),
                within("a loop", kind=Kind.FOREACH_LOOP),
            ),
        ),
    )

    assert subjects_of(root, {"a"}) == ["in a group", "in a loop"]
    assert f"{place}\\a loop: A callback has no loops: its mail is sent once." in Converted(root).findings()


def test_the_mails_of_a_handler_are_sent_in_order():
    place = "Package.EventHandlers[OnError]"
    both = handler("Package", "OnError", "second", "first", constraints=(arrow("first", "second", place),))

    assert '"on_failure_callback": [first, second]' in Converted(package(task("a"), event_handlers=(both,))).source


def test_parts_of_a_handler_that_a_callback_cannot_do_are_reported():
    place = "Package.EventHandlers[OnError]"
    elaborate = handler(
        "Package",
        "OnError",
        task("Log it", place),
        mail("if that fails", place),
        mail("in any case", place),
        constraints=(
            arrow("Log it", "if that fails", place, outcome=Outcome.FAILURE),
            arrow("Log it", "in any case", place, outcome=Outcome.COMPLETION),
        ),
    )
    converted = Converted(package(task("a"), event_handlers=(elaborate, handler("Package", "OnWarning", "hm"))))

    assert '"on_failure_callback": [if_that_fails, in_any_case]' in converted.source
    findings = "\n".join(converted.findings())
    assert f"{place}\\Log it: It is not a Send Mail task (Data Flow task): skipped in the callback." in findings
    assert f"{place}\\if that fails: Nothing is sent until you write its disable." in findings
    assert "Airflow has no callback for OnWarning: its mail was skipped." in findings
    assert f"{place}\\in any case: Before it, the handler runs Log it (Data Flow task)." in findings


def test_a_package_with_mail_in_handlers_only_becomes_a_dag(load):
    dag = load(Converted(package(task("a"), event_handlers=(handler("Package", "OnError", "Tell"),))).source)

    assert dag.task_ids == ["a"]


def test_a_package_without_executables_becomes_no_dag():
    converted = Converted(package(event_handlers=(handler("Package", "OnError", "Tell"),)))

    assert converted.source == ""
    assert "Package: It has no tasks: no DAG is written." in converted.findings(Status.SKIPPED)


def test_a_mail_with_an_expression_without_counterpart_is_not_sent(subjects_of):
    place = "Package.EventHandlers[OnError]"
    unknown = mail("Tell", place, expressions={"Subject": "@[System::CreatorName]"})
    root = package(task("a"), event_handlers=(handler("Package", "OnError", unknown, "Tell others"),))

    assert subjects_of(root, {"a"}) == ["Tell others"]
    assert (
        f"{place}\\Tell: Nothing is sent until you write subject and remove its disable."
        in Converted(root).findings()
    )


def test_an_expression_can_disable_a_mail_depending_on_the_event(subjects_of):
    place = "Package.EventHandlers[OnError]"
    picky = mail("Tell", place, expressions={"Disable": '@[System::SourceName] == "a"'})
    root = package(task("a"), task("b"), event_handlers=(handler("Package", "OnError", picky),))

    assert subjects_of(root, {"a"}) == []
    assert subjects_of(root, {"b"}) == ["Tell"]


def test_a_handler_without_mail_is_reported_as_skipped():
    root = package(
        mail(), event_handlers=(handler("Package", "OnError", task("Log", "Package.EventHandlers[OnError]")),)
    )

    assert "Package.EventHandlers[OnError]: It sends no mail." in Converted(root).findings(Status.SKIPPED)
