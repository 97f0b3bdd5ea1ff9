"""The page with the table of the store's faults.

``python -m tests.task.delivery.store_page > docs/store-faults.md`` writes it.
"""

from __future__ import annotations

from tests.task.delivery.store_faults import COLUMNS, ROWS

_INTRODUCTION = """\
# When Airflow's API server fails

From Airflow 3.3 on, a task keeps [a record of what it has sent](reliability.md#what-a-retry-does) in Airflow's task
state store. Each access is a call of Airflow's API server. If a call fails:

- *Before the content*, nothing is sent. The task is retried, after the same delays as for a fault of the network.
- *After the content*, the outcome of the task is that of the mail: the task succeeds if the message was sent. The log
  names the outcomes that may not be recorded. A retry may treat these as uncertain.
- After a failed write, nothing more is sent in this try, except the messages whose transmission has begun.
- No message is sent twice, and none is lost without an error.

This table shows the outcome for every call and every kind of fault. Each cell is a test. It runs the task with
Airflow's own task runner, supervisor and API client, an HTTP server in place of the API server, and a mail server
that counts the copies. The row is the first call with the fault. From then on, the fault affects all calls for the
record and for XCom, until the try ends; *500, once* affects one call. The next try runs without a fault.

## What to do

- Set `retries`. A try that has sent nothing, or not everything, is then repeated without your help.
- If a retry reports that delivery is uncertain, look into the log of the try before it: it has the outcome that could
  not be recorded. Then mark the task as success, or clear it to send everything again.
- If Airflow's API server is often slow or restarted, raise `[workers] execution_api_timeout` or
  `execution_api_retries`.

## The faults

| fault | what happens to the call |
|---|---|
| 500, once | The API server replies with 500. Airflow repeats the call, and it succeeds. |
| 500 | It replies with 500 each time. Airflow gives up after five attempts (`[workers] execution_api_retries`). |
| timeout, not stored | No reply within `[workers] execution_api_timeout` (5 seconds). The value is not stored. |
| timeout, stored | The same, but the value is stored. The task cannot distinguish the two. |
| slow | The reply is late, but within the time limit. |
| connection refused | Nobody listens. |

## The outcomes

Before the semicolon is the outcome of the try; after it, that of the next one. *Uncertain* means that the next try
does not know the outcome: `on_uncertain` [decides what it does](reliability.md#when-delivery-is-uncertain). After a
success, there is a next try only if Airflow has not stored the success: the worker was killed before that, or the API
server failed. *Is retried* needs `retries`.

"""

_END = """
In the row *between groups*, up to 40 messages are uncertain for each of the task's `connections`: those that the
record has as being sent. In the test, these are three.

If neither the record nor the result can be stored, the task succeeds without a result in XCom: if it returned one,
Airflow would fail the try, and the retry would be uncertain. The log has the result.

## A question to a person

With [`on_uncertain="ask"`](reliability.md#ask-a-person), the record is written before the question, too. If that
fails:

- If the record has the same messages as uncertain, the question is asked. This is always so with one message.
- If the record has further messages as uncertain, no question is asked: the answer would be applied to those, too.
  The try fails, and the retry asks about all of them; the log of the failed try has their outcomes. After the last
  try, nobody is asked.

If Airflow's API server does not take the question, the try fails, nothing is sent again, and the retry asks. If the
record cannot be read after the answer, nothing is sent, and the retry asks again.

## What remains

- If the API server is unreachable for minutes, Airflow ends the task, because its heartbeats fail. If it is sending
  then, delivery is uncertain.
- Without a record (`durable=False`, and below Airflow 3.3), a try that has sent its message fails if Airflow cannot
  store its result in XCom. A retry sends the message again. `do_xcom_push=False` avoids this.
- The last try has no record either, and fails in the same way. No retry follows; the log has the result.
- Airflow may report that a write failed, and store it later all the same. If it is stored after a write of the *next*
  try, it replaces that, and the try after the next may not know what was sent. The delays between tries prevent this.
  Do not set `retry_delay` to a few seconds.
"""


def page() -> str:
    """Return docs/store-faults.md."""
    rows = [
        ["", *COLUMNS],
        ["---"] * (len(COLUMNS) + 1),
        *([f"**{row.title}**", *(row.outcomes[column].words for column in COLUMNS)] for row in ROWS),
    ]
    return "".join([_INTRODUCTION, *(f"| {' | '.join(row)} |\n" for row in rows), _END])


if __name__ == "__main__":
    print(page(), end="")  # noqa: T201 - a script prints
