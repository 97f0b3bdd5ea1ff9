"""Operators of generated DAGs, for SSIS's precedence constraints that Airflow's trigger rules cannot express.

In Airflow, a task that never ran because an upstream task failed (upstream_failed) counts as failed. A task group
fails only with its last tasks. No trigger rule combines different outcomes, or tests a value.
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
# A precedence constraint raises no events in SSIS, so callbacks of default_args do not apply.
_NO_CALLBACKS = dict.fromkeys(
    ("on_execute_callback", "on_failure_callback", "on_retry_callback", "on_skipped_callback", "on_success_callback")
)


class PrecedenceOperator(BaseOperator):
    """Waits for all upstream tasks, and skips the downstream tasks unless a condition is true.

    The condition is a template that renders to True or False. Besides Airflow's context it can call ``succeeded``,
    ``failed`` and ``completed`` with the id of a task or task group of the same run. All three are false for a task
    that never ran: as in SSIS, it satisfies no constraint. A group has failed if any of its tasks has failed, even
    if the failure was handled.

    Args:
        condition: such as ``{{ failed('load') or succeeded('count') and params.rows == 0 }}``.
    """

    template_fields: Sequence[str] = ("condition",)
    ui_color = "#f5f5f5"

    def __init__(self, *, condition: str, **kwargs: Any) -> None:
        super().__init__(**(kwargs | _NO_CALLBACKS | {"trigger_rule": "all_done"}))
        self.condition = condition

    def render_template_fields(self, context: Context, jinja_env: jinja2.Environment | None = None) -> None:
        """Render the condition with Airflow's context, ``succeeded``, ``failed`` and ``completed``."""
        outcomes = _Outcomes(self.get_dag(), context)
        functions = {name: getattr(outcomes, name) for name in ("succeeded", "failed", "completed")}
        extended: Any = {**cast("dict[str, Any]", context), **functions}
        super().render_template_fields(extended, jinja_env)

    def execute(self, context: Context) -> None:  # noqa: ARG002 - Airflow passes it
        """Skip the downstream tasks unless the condition is true.

        Raises:
            AirflowSkipException: the condition is false.
            AirflowFailException: the condition is neither true nor false.
        """
        from airflow_smtp_cm.mail.errors import InvalidMessage  # noqa: PLC0415 - not needed when a DAG file is parsed
        from airflow_smtp_cm.task.composition import truth_of  # noqa: PLC0415

        try:
            is_true = truth_of(self.condition)
        except InvalidMessage as error:
            raise AirflowFailException(f"condition: {error} No downstream task runs.") from error
        if not is_true:
            raise AirflowSkipException("The condition of the precedence constraint is false.")


class PackageFailureOperator(BaseOperator):
    """Fails the run if an upstream task fails: in SSIS a package fails with any task, even if the failure is handled.

    In Airflow, only the last tasks determine the state of a run. So this operator follows each task whose failure
    another task handles.
    """

    ui_color = "#f5f5f5"

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**(kwargs | _NO_CALLBACKS | {"trigger_rule": "one_failed", "retries": 0}))

    def execute(self, context: Context) -> None:  # noqa: ARG002 - as above
        """Fail the run.

        Raises:
            AirflowFailException: always.
        """
        raise AirflowFailException(
            f"The run fails, because one of these tasks failed: {', '.join(self.upstream_task_ids)}"
        )


class _Outcomes:
    """The outcomes of the tasks and groups of a run."""

    def __init__(self, dag: DAG | None, context: Context) -> None:
        self._dag = dag
        self._context = context

    def succeeded(self, node_id: str) -> bool:
        """Return whether a task or group ran without failure."""
        return self.completed(node_id) and not self.failed(node_id)

    def failed(self, node_id: str) -> bool:
        """Return whether a task, or any task of a group, failed."""
        return "failed" in self._states(node_id)

    def completed(self, node_id: str) -> bool:
        """Return whether a task, or any task of a group, ran."""
        return any(state in _ENDED for state in self._states(node_id))

    def _states(self, node_id: str) -> list[str | None]:
        if self._dag is None:
            raise ValueError("A PrecedenceOperator must be in a DAG.")
        if group := self._dag.task_group_dict.get(node_id):
            task_ids = [task.task_id for task in group.iter_tasks()]
        else:
            task_ids = [self._dag.get_task(node_id).task_id]
        ti, run_id = self._context["ti"], self._context["run_id"]
        states = ti.get_task_states(dag_id=self._dag.dag_id, task_ids=task_ids, run_ids=[run_id])
        return list(states.get(run_id, {}).values())
