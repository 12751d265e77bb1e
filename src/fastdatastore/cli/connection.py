"""The options that verbs share, and the client that they make."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from fastdatastore.cli.commands import CannotRun

if TYPE_CHECKING:
    from fastdatastore.engine.client import Client

_EPILOG = """\
Credentials, endpoint and region come from the usual AWS variables and files.
Exit code: 0 done, 1 something failed (each failure is named on stderr),
2 cannot be run as it was typed.
"""

Verbs = argparse._SubParsersAction


def add_verb(
    verbs: Verbs[Any],
    name: str,
    run: Callable[[argparse.Namespace], int],
    *,
    summary: str,
    description: str,
    examples: str,
) -> argparse.ArgumentParser:
    """A verb with the options that all of them have."""
    parser: argparse.ArgumentParser = verbs.add_parser(
        name,
        help=summary,
        description=description,
        epilog=f"{examples}\n{_EPILOG}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--json", action="store_true", help="one JSON object a line on stdout")
    where = parser.add_argument_group("where")
    where.add_argument("--endpoint-url", metavar="URL", help="of the store (default: what the AWS variables say)")
    where.add_argument("--region", metavar="NAME", help="to sign for")
    where.add_argument("--profile", metavar="NAME", help="of ~/.aws/config and ~/.aws/credentials")
    where.add_argument("--requester-pays", action="store_true", help="agree to pay for the requests")
    parser.set_defaults(run=run)
    return parser


def add_storing(parser: argparse.ArgumentParser) -> None:
    """The options of verbs that make objects."""
    how = parser.add_argument_group("how objects are stored")
    how.add_argument("--storage-class", metavar="CLASS", help="such as STANDARD_IA")
    how.add_argument("--sse", metavar="KIND", help="server-side encryption: AES256, aws:kms or aws:kms:dsse")
    how.add_argument("--sse-kms-key-id", metavar="KEY", help="id, ARN or alias of the KMS key")
    how.add_argument("--content-type", metavar="TYPE", help="of what is uploaded (default: guessed from the name)")


def connect(options: argparse.Namespace) -> Client:
    """The client that a verb's options ask for.

    Raises:
        CannotRun: They make no sense.
    """
    from fastdatastore.auth.credentials import CredentialProvider, configured_endpoint
    from fastdatastore.engine.client import Client
    from fastdatastore.engine.options import Options
    from fastdatastore.errors import ConfigurationError

    provider = CredentialProvider(options.profile)
    chosen = {"url": options.endpoint_url, "region": options.region}
    try:
        endpoint = replace(configured_endpoint(provider), **{name: text for name, text in chosen.items() if text})
        return Client(
            endpoint,
            provider,
            options=Options(
                encryption=getattr(options, "sse", None),
                kms_key_id=getattr(options, "sse_kms_key_id", None),
                storage_class=getattr(options, "storage_class", None),
                requester_pays=options.requester_pays,
            ),
        )
    except ConfigurationError as error:
        raise CannotRun(str(error)) from None
