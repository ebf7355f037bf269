"""A job that was submitted to lctl, through the real mlflow client; prints what it found as JSON.

usage: mlflow_job_check.py TRACKING_URI JOB
"""

import json
import sys

from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient
from requests import HTTPError

client = MlflowClient(sys.argv[1])
job = sys.argv[2]


def refused(call, *arguments):
    try:
        call(job, *arguments)
    except (MlflowException, HTTPError) as error:
        return str(error)
    return "it was not refused"


run = client.get_run(job)
client.set_tag(job, "reviewed", "yes")
client.set_tag(job, "mlflow.note.content", "seen from MLflow")
experiment = client.get_experiment(run.info.experiment_id)
print(json.dumps({
    "status": run.info.status,
    "experiment": experiment.name,
    "params": run.data.params,
    "found": [r.info.run_id for r in client.search_runs([experiment.experiment_id], "tags.reviewed = 'yes'")],
    "files": len(client.list_artifacts(job)),
    "refused": [refused(client.log_metric, "x", 1.0), refused(client.log_param, "x", "1"),
                refused(client.set_terminated), refused(client.delete_run), refused(client.log_text, "text", "a.txt")],
}))
