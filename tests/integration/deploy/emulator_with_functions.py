"""Runs the AWS emulator so that a package can be deployed to it and is executed as Lambda executes it.

Executed by the emulator's own Python; it imports nothing of Paygrade. What is added to the emulator:

- Python functions run under Lambda's own runtime client (it stands in PAYGRADE_RUNTIME_CLIENT), with nothing but the
  package to import from, instead of under a script of the emulator's.
- Chalice describes its REST API in one document. The emulator makes an API without routes of it, and does not know
  how to replace the routes of an API at all; both are done here with the emulator's own parts.
- A process that is answering when its function's code is replaced may finish; the emulator would kill it.
"""

import json
import os
import runpy
import shlex
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from ministack.core import lambda_runtime
from ministack.services import apigateway_v1, lambda_svc

Answer = tuple[int, dict[str, str], bytes]
Handler = Callable[[str, str, Any, Any, Any], Awaitable[Answer]]

BOOTSTRAP = """#!/bin/sh
export PYTHONPATH={client} PYTHONDONTWRITEBYTECODE=1
exec {python} -S -m awslambdaric "$_HANDLER"
"""
extracted = lambda_svc._provided_runtime_code_dir
handle_request: Handler = apigateway_v1.handle_request
kill_workers: Callable[[list[Any]], None] = lambda_runtime.kill_workers


def extracted_with_bootstrap(code_zip: bytes) -> str:
    """The unpacked package with what starts it, as a custom runtime has it."""
    folder: str = extracted(code_zip)
    bootstrap = Path(folder, "bootstrap")
    if not bootstrap.exists():
        text = BOOTSTRAP.format(client=shlex.quote(CLIENT), python=shlex.quote(sys.executable))
        bootstrap.write_text(text)
        bootstrap.chmod(0o755)
    return folder


def retire_workers(workers: list[Any]) -> None:
    """The idle processes are gone; the busy ones go when they have answered."""
    for worker in workers:
        worker.retired = worker.in_use
    kill_workers([worker for worker in workers if not worker.retired])


def release_worker(worker: Any) -> None:
    """The process may be given the next event, or ends."""
    lambda_runtime.release_worker(worker)
    if getattr(worker, "retired", False):
        kill_workers([worker])


async def handle_with_documents(
    method: str, path: str, headers: Any, body: Any, query: Any
) -> Answer:
    """Answers as the emulator does, but for APIs that are described by a document."""
    parts = path.strip("/").split("/")
    if method == "POST" and parts == ["restapis"] and "mode" in query:
        document = json.loads(body)
        return described(apigateway_v1._import_rest_api(document), 201)
    if method == "PUT" and parts[0] == "restapis" and len(parts) == 2:
        replace_routes(parts[1], json.loads(body))
        return described(parts[1], 200)
    return await handle_request(method, path, headers, body, query)


def replace_routes(api_id: str, document: dict[str, Any]) -> None:
    resources = apigateway_v1._resources[api_id]
    for resource_id in [name for name, one in resources.items() if one["path"] != "/"]:
        del resources[resource_id]
    for path, item in document["paths"].items():
        apigateway_v1._import_path_item(api_id, path, item)


def described(api_id: str, status: int) -> Answer:
    _, headers, body = apigateway_v1._get_rest_api(api_id)
    return status, headers, body


CLIENT = os.environ["PAYGRADE_RUNTIME_CLIENT"]
lambda_svc._provided_runtime_code_dir = extracted_with_bootstrap
lambda_svc._execute_function_warm = lambda_svc._execute_function_provided_warm
lambda_runtime._worker_class_for = lambda config: lambda_runtime.ProvidedWorker
lambda_runtime.kill_workers = retire_workers
lambda_svc.release_worker = release_worker
apigateway_v1.handle_request = handle_with_documents
runpy.run_path(os.environ["PAYGRADE_EMULATOR_LAUNCHER"], run_name="__main__")
