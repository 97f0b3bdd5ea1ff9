"""SSIS's precedence constraints where Airflow's trigger rules say something else; generated DAGs use these operators.

In Airflow a task that never ran because something before it failed (upstream_failed) counts as failed, the failure of
a task group is that of its last tasks, and conditions on several outcomes or on values have no rule at all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from airflow.providers.common.compat.sdk import AirflowFailException, AirflowSkipException, BaseOperator

if TYPE_CHECKING:
    from collections.abc import Sequence

    import jinja2
    from airflow.providers.common.compat.sdk import DAG, Context

__all__ = ["PackageFailureOperator", "PrecedenceOperator"]

_ENDED = ("success", "failed")
# An arrow of SSIS's raises no events, so that default_args with callbacks are not meant for it.
_NO_CALLBACKS = dict.fromkeys(
    ("on_execute_callback", "on_failure_callback", "on_retry_callback", "on_skipped_callback", "on_success_callback")
)


class PrecedenceOperator(BaseOperator):
    """Waits for everything before it, and lets what follows run if a condition holds; else that is skipped.

    The condition is a template that yields True or False. Beside Airflow's context it has the functions
    ``succeeded``, ``failed`` and ``completed``, which take the id of a task or a task group of the same run. Each is
    false of what never ran: as in SSIS, that satisfies no constraint. A group has failed if any of its tasks has,
    even if that was handled.

    Args:
        condition: such as ``{{ failed('load') or succeeded('count') and params.rows == 0 }}``.
    """

    template_fields: Sequence[str] = ("condition",)
    ui_color = "#f5f5f5"

    def __init__(self, *, condition: str, **kwargs: Any) -> None:
        super().__init__(**(kwargs | _NO_CALLBACKS | {"trigger_rule": "all_done"}))
        self.condition = condition

    def render_template_fields(self, context: Context, jinja_env: jinja2.Environment | None = None) -> None:
        """Render the condition, with the functions that it has beside Airflow's context."""
        outcomes = _Outcomes(self.get_dag(), context)
        functions = {name: getattr(outcomes, name) for name in ("succeeded", "failed", "completed")}
        known: Any = {**cast("dict[str, Any]", context), **functions}
        super().render_template_fields(known, jinja_env)

    def execute(self, context: Context) -> None:  # noqa: ARG002 - Airflow hands it over
        """Skip what follows unless the condition holds.

        Raises:
            AirflowSkipException: it does not hold.
            AirflowFailException: it is neither true nor false.
        """
        from airflow_smtp_cm.mail.errors import InvalidMessage  # noqa: PLC0415 - a DAG file need not wait for it
        from airflow_smtp_cm.task.composition import truth_of  # noqa: PLC0415

        try:
            holds = truth_of(self.condition)
        except InvalidMessage as error:
            raise AirflowFailException(f"condition: {error} Nothing that follows runs.") from error
        if not holds:
            raise AirflowSkipException("The precedence constraint does not hold.")


class PackageFailureOperator(BaseOperator):
    """Fails the run if anything before it fails: in SSIS a package fails with its tasks, even if that is handled.

    Airflow goes by the last tasks only. So this comes after each task whose failure something else handles.
    """

    ui_color = "#f5f5f5"

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**(kwargs | _NO_CALLBACKS | {"trigger_rule": "one_failed", "retries": 0}))

    def execute(self, context: Context) -> None:  # noqa: ARG002 - as above
        """Fail.

        Raises:
            AirflowFailException: always.
        """
        raise AirflowFailException(
            f"One of these has failed, and with it the run: {', '.join(self.upstream_task_ids)}"
        )


class _Outcomes:
    """What became of the tasks and groups of a run."""

    def __init__(self, dag: DAG | None, context: Context) -> None:
        self._dag = dag
        self._context = context

    def succeeded(self, node_id: str) -> bool:
        """Return whether it ran without a failure."""
        return self.completed(node_id) and not self.failed(node_id)

    def failed(self, node_id: str) -> bool:
        """Return whether it, or any task of it, failed."""
        return "failed" in self._states(node_id)

    def completed(self, node_id: str) -> bool:
        """Return whether it ran, or any task of it did."""
        return any(state in _ENDED for state in self._states(node_id))

    def _states(self, node_id: str) -> list[str | None]:
        if self._dag is None:
            raise ValueError("A precedence constraint needs a DAG.")
        if group := self._dag.task_group_dict.get(node_id):
            task_ids = [task.task_id for task in group.iter_tasks()]
        else:
            task_ids = [self._dag.get_task(node_id).task_id]
        ti, run_id = self._context["ti"], self._context["run_id"]
        states = ti.get_task_states(dag_id=self._dag.dag_id, task_ids=task_ids, run_ids=[run_id])
        return list(states.get(run_id, {}).values())
