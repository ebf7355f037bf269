"""The interpreter that has real clients of our formats, for the tests of this folder."""

import os
import subprocess


def python():
    path = os.environ.get("LCTL_CLIENTS_PYTHON")
    if not path or not os.path.exists(path):
        raise RuntimeError("LCTL_CLIENTS_PYTHON names no interpreter: run this test through ./test, which makes it "
                           "(tests/clients/prepare)")
    return path


def mlflow_environment(home, **more):
    """For programs that use mlflow: they give up soon, and tell nobody else of it."""
    return {**os.environ, "HOME": home, "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2", "MLFLOW_DISABLE_TELEMETRY": "true",
            "DO_NOT_TRACK": "true", "GIT_PYTHON_REFRESH": "quiet", **more}


def run(*command, timeout=600, cwd=None, env=None):
    """Exit code and all that the command said."""
    done = subprocess.run(list(command), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
                          timeout=timeout, cwd=cwd, env=env)
    return done.returncode, done.stdout
