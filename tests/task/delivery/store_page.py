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
  has what is known and perhaps not recorded. A retry may treat this as uncertain.
- After a write that failed, nothing more is sent in this try. The messages in flight are finished.
- No message is sent twice, and none is lost without an error.

This table shows the outcome for every call and every kind of fault. Each cell is a test. It runs the task with
Airflow's own task runner, supervisor and API client, an HTTP server in place of the API server, and a mail server
that counts the copies. From the call on, the fault affects all calls for the record and for XCom in this try; only
*500, once* ends. Then the next try runs without a fault.

## The faults

| fault | what happens to the call |
|---|---|
| 500, once | The API server replies with 500. Airflow repeats the call, and it succeeds. |
| 500 | It replies with 500 each time. Airflow gives up after five attempts (`[workers] execution_api_retries`). |
| timeout, not stored | No reply within `[workers] execution_api_timeout`, 5 seconds. The value is not stored. |
| timeout, stored | The same, but the value is stored. The task cannot distinguish the two. |
| slow | The reply is late, but within the time limit. |
| connection refused | Nobody listens. |

## The outcomes

Before the semicolon is the outcome of the try; after it, that of the next one. *Uncertain* means that the next try
does not know the outcome: `on_uncertain` [decides what it does](reliability.md#when-delivery-is-uncertain). After a
success, there is a next try only if the worker is killed before Airflow has stored the success, or if Airflow cannot
store it.

"""

_END = """
In the row *between groups*, three messages had been recorded as being sent. In a longer list, up to 40
are uncertain, for each of its `connections`.

If neither the record nor the result can be stored, the task succeeds without a result in XCom: if it returned one,
Airflow would fail the try, and the retry would be uncertain. The log has the result.

## A question to a person

With [`on_uncertain="ask"`](reliability.md#ask-a-person), the record is also written before the question is asked. If this
fails, the question is asked nevertheless, unless the record shows more messages as uncertain than are: the answer would
be applied to all of them. Then the try fails without a question, and the retry asks about all that the record shows as
uncertain; the log has what is known of them. In the last try, no question is asked.

If Airflow's API server does not take the question, the try fails, nothing is sent again, and the retry asks. If the
record cannot be read after the answer, nothing is sent, and the retry asks again.

## What remains

- If the API server is unreachable for minutes, Airflow ends the task, because its heartbeats fail. If it is sending
  then, delivery is uncertain.
- Without a record (`durable=False`, and below Airflow 3.3), a try fails that has sent its message, if Airflow cannot
  store its result in XCom. A retry sends the message again. `do_xcom_push=False` avoids this.
- In the last try, the same fails the task. No retry follows; the log has the result.
- A write may be stored long after Airflow has reported that it failed. If that is later than a write of the *next*
  try, it replaces it, and a try after that may not know what the next one has sent. The delays between tries prevent
  this. Do not set `retry_delay` to a few seconds.
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
