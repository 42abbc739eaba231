"""The environment that benchmarks run in: its variables, a customer with a snapshot, a key, and a check of theirs."""

import os
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from chalicelib.domain.snapshot_documents import FeatureDocument, SourceDocument

STAGE: Final = "bench"


def environment(endpoint_url: str) -> dict[str, str]:
    return {
        "AWS_ENDPOINT_URL": endpoint_url,
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "bench",
        "AWS_SECRET_ACCESS_KEY": "bench",
        "PAYGRADE_STAGE": STAGE,
        "PAYGRADE_PUBLIC_URL": "http://127.0.0.1:1",
        # One caller asks as fast as it can: that is what is measured.
        "PAYGRADE_REQUESTS_PER_SECOND": "1000000",
        "PAYGRADE_REQUESTS_BURST": "1000000",
    }


def snapshot_document(features: int) -> str:
    from chalicelib.domain.snapshot_documents import document_text  # noqa: PLC0415

    source: SourceDocument = {
        "type": "plan",
        "id": "pro",
        "version": 3,
        "subscription_id": "subs_0000000000000000000000001",
        "start": 1_700_000_000_000,
    }
    shares: dict[str, FeatureDocument] = {
        f"feature-{number:02}": {
            "type": "metered",
            "shares": [{"source": 0, "limit": 1000 + number, "reset": "month"}],
        }
        for number in range(features)
    }
    return document_text(
        {"version": 7, "customer_status": "active", "sources": [source], "features": shares}
    )


def put_customer(dynamodb: Any, customer_id: str, features: int) -> None:
    dynamodb.put_item(
        TableName=f"paygrade-{STAGE}-customers",
        Item={
            "pk": {"S": f"CUST#{customer_id}"},
            "sk": {"S": "HOT#ENT"},
            "kind": {"S": "snapshot"},
            "rev": {"N": "7"},
            "doc": {"S": snapshot_document(features)},
        },
    )


def secret_key() -> str:
    from chalicelib import wiring  # noqa: PLC0415 -- after the environment is set
    from chalicelib.domain.api_keys import KeyKind  # noqa: PLC0415
    from chalicelib.domain.audit_log import Cause  # noqa: PLC0415
    from chalicelib.services.manage_api_keys import ALL_SCOPES, create_api_key  # noqa: PLC0415

    cause = Cause(actor="bench", request_id="bench", operation_id="bench")
    made = create_api_key(
        wiring.ports(),
        cause,
        name="bench",
        kind=KeyKind.SECRET,
        scopes=ALL_SCOPES,
        entropy=os.urandom(32),
    )
    return made[1]


def check_event(customer_id: str, feature_id: str, token: str) -> dict[str, Any]:
    resource = "/v1/customers/{customer_id}/entitlements/{feature_id}"
    path = f"/v1/customers/{customer_id}/entitlements/{feature_id}"
    headers = {"authorization": f"Bearer {token}", "host": "bench", "user-agent": "bench"}
    return {
        "resource": resource,
        "path": path,
        "httpMethod": "GET",
        "headers": headers,
        "multiValueHeaders": {name: [value] for name, value in headers.items()},
        "queryStringParameters": None,
        "multiValueQueryStringParameters": None,
        "pathParameters": {"customer_id": customer_id, "feature_id": feature_id},
        "stageVariables": None,
        "requestContext": {
            "resourcePath": resource,
            "httpMethod": "GET",
            "path": path,
            "requestId": "bench",
            "identity": {"sourceIp": "127.0.0.1"},
        },
        "body": None,
        "isBase64Encoded": False,
    }
