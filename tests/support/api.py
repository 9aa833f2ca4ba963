"""A client of the REST API."""

from __future__ import annotations

import base64
import json
from typing import Any
from urllib.parse import urlencode

from django.test import Client

CALLBACK = "https://backend.example.com/initiate"


class ApiCustomer:
    """A customer that gets a token once and sends requests with it."""

    def __init__(self, http: Client, account_id: str, client_id: str, secret: str) -> None:
        self.http = http
        self.account_id = account_id
        self.client_id = client_id
        self.secret = secret
        self._token = ""

    @property
    def base(self) -> str:
        return f"/v2/accounts/{self.account_id}/voice-applications"

    @property
    def token(self) -> str:
        if not self._token:
            self._token = self.ask_token().json()["access_token"]
        return self._token

    def ask_token(self, secret: str | None = None, **form: str) -> Any:
        basic = base64.b64encode(f"{self.client_id}:{secret or self.secret}".encode()).decode()
        return self.http.post(
            "/api/v1/oauth2/token",
            urlencode({"grant_type": "client_credentials", **form}),
            content_type="application/x-www-form-urlencoded",
            headers={"Authorization": f"Basic {basic}"},
        )

    def request(self, method: str, path: str, body: object = None, **headers: str) -> Any:
        options: dict[str, Any] = {} if body is None else {"data": body, "content_type": "application/json"}
        sent = {"Authorization": f"Bearer {self.token}"} | {name.replace("_", "-"): value for name, value in headers.items()}
        return self.http.generic(method, path, headers=sent, **_json(options))

    def create(self, **fields: object) -> dict[str, Any]:
        body = {"applicationName": "My Voice App", "callInitiatedCallbackUrl": CALLBACK} | fields
        answer = self.request("POST", self.base, body)
        assert answer.status_code == 201, answer.content
        data: dict[str, Any] = answer.json()["data"]
        return data

    def patch(self, application_id: str, body: object, **headers: str) -> Any:
        return self.request("PATCH", f"{self.base}/{application_id}", body, **headers)

    def get(self, application_id: str) -> Any:
        return self.request("GET", f"{self.base}/{application_id}")


def _json(options: dict[str, Any]) -> dict[str, Any]:
    return options | {"data": json.dumps(options["data"])} if "data" in options else options
