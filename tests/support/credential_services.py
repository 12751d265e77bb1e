"""The services that credentials come from, scripted: an instance's metadata service and an STS."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs

from tests.support.scripted_server import Received, Reply


class MetadataService:
    """IMDSv2 of an instance with a role. Each fetch gives new keys, good for `lifetime` seconds.

    Attributes:
        fetches: How often credentials were handed out.
        delay: Seconds that a fetch takes.
        refusals: So many requests to come are answered by 503.
    """

    def __init__(self, lifetime: float = 21600.0) -> None:
        self.lifetime = lifetime
        self.fetches = 0
        self.delay = 0.0
        self.refusals = 0
        self.began = threading.Event()
        self._lock = threading.Lock()

    def __call__(self, received: Received) -> Reply:
        with self._lock:
            if self.refusals:
                self.refusals -= 1
                return Reply(503)
        if received.path == "/latest/api/token":
            return Reply(200, b"a-token")
        if received.path.endswith("/security-credentials/"):
            return Reply(200, b"the-role")
        if not received.path.endswith("/the-role"):
            return Reply(404)
        self.began.set()
        time.sleep(self.delay)
        with self._lock:
            self.fetches += 1
            number = self.fetches
        return Reply(200, json.dumps({"Code": "Success", "Type": "AWS-HMAC"} | _keys(number, self.lifetime)).encode())


class SecurityTokenService:
    """Takes AssumeRoleWithWebIdentity. Each call gives new keys, good for `lifetime` seconds.

    Attributes:
        tokens: That it was shown.
        delay: Seconds that a call takes.
        refusal: Of a token; None: it is good.
    """

    def __init__(self, lifetime: float = 3600.0) -> None:
        self.lifetime = lifetime
        self.tokens: list[str] = []
        self.delay = 0.0
        self.refusal: Callable[[str], Reply | None] = lambda token: None

    def __call__(self, received: Received) -> Reply:
        token = parse_qs(received.body.decode())["WebIdentityToken"][0]
        self.tokens.append(token)
        time.sleep(self.delay)
        if (refused := self.refusal(token)) is not None:
            return refused
        keys = _keys(len(self.tokens), self.lifetime)
        body = (
            '<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">'
            "<AssumeRoleWithWebIdentityResult><Credentials>"
            f"<AccessKeyId>{keys['AccessKeyId']}</AccessKeyId><SecretAccessKey>{keys['SecretAccessKey']}"
            f"</SecretAccessKey><SessionToken>{keys['Token']}</SessionToken><Expiration>{keys['Expiration']}"
            "</Expiration></Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>"
        )
        return Reply(200, body.encode(), {"content-type": "text/xml"})


def refusal(code: str, message: str) -> Reply:
    """What an STS says in its own words."""
    body = f"<ErrorResponse><Error><Code>{code}</Code><Message>{message}</Message></Error></ErrorResponse>"
    return Reply(400, body.encode(), {"content-type": "text/xml"})


def _keys(number: int, lifetime: float) -> dict[str, str]:
    ends = datetime.now(UTC) + timedelta(seconds=lifetime)
    return {
        "AccessKeyId": f"KEY{number}",
        "SecretAccessKey": "secret",
        "Token": f"token-{number}",
        "Expiration": ends.strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
