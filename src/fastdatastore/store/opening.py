"""From a URL to a back end, and from a back end to the store that is in it: store.json, made by the first who puts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack

from fastdatastore import errors
from fastdatastore.store import parameters as stored
from fastdatastore.store.backends.base import Backend, Read, Write
from fastdatastore.store.parameters import Parameters

if TYPE_CHECKING:
    from fastdatastore.s3.connections import Connection


def open_backend(url: str, *, durable: bool = True, **connection: Unpack[Connection]) -> Backend:
    """What keeps the store at this URL; nobody is asked for anything yet.

    Args:
        url: s3://bucket, s3://bucket/prefix, or file:/// and the absolute path of a directory.
        durable: Of a directory only: see LocalBackend.
        connection: Of a bucket: the arguments of fastdatastore.S3.

    Raises:
        ConfigurationError: It is no such URL, or the connection is one that cannot be.
    """
    scheme = url.partition("://")[0].lower() if isinstance(url, str) and "://" in url else ""
    if scheme == "s3":
        if not durable:
            raise errors.ConfigurationError(f"{url} is in a bucket: durable is for file:// URLs; leave it out")
        return _bucket(url, connection)
    if scheme == "file":
        if said := sorted(name for name, value in connection.items() if value is not None):
            raise errors.ConfigurationError(f"{url} is a directory: {', '.join(said)} is for s3:// URLs; leave it out")
        from fastdatastore.store.backends.local import LocalBackend

        return LocalBackend.from_url(url, durable=durable)
    raise errors.ConfigurationError(
        f"a store is at a URL such as s3://bucket/prefix or file:///data/store, got {url!r}"
        + ("" if scheme else "; of a path pathlib's Path(…).absolute().as_uri() makes one")
    )


def _bucket(url: str, connection: Connection) -> Backend:
    from fastdatastore.auth.access_points import split_bucket
    from fastdatastore.s3.connections import Connection, open_client
    from fastdatastore.store.backends.s3 import S3Backend

    if unknown := connection.keys() - Connection.__annotations__.keys():
        raise TypeError(f"a store has no argument {', '.join(sorted(unknown))}; see ArtifactStore")
    bucket, prefix = split_bucket(url[len("s3://") :])
    return S3Backend(open_client(**connection), bucket, prefix.rstrip("/"))


def find(backend: Backend, url: str) -> Parameters:
    """The parameters of the store that is there.

    Args:
        url: What to call the place in an error.

    Raises:
        StoreNotFound: There is none. FormatError: It is of a version that this release does not know, or no store.
    """
    content = bytearray()

    def place(size: int) -> tuple[bytearray]:
        if size > stored.MAX_SIZE:
            raise errors.FormatError(f"it has {size} bytes; the most is {stored.MAX_SIZE}", place=stored.NAME)
        content.extend(bytes(size))
        return (content,)

    (item,) = backend.read([Read(stored.NAME, place)])
    if isinstance(item.error, errors.NotFound):
        raise errors.StoreNotFound(f"there is no artifact store at {url}; check the URL, or put something there first")
    if item.error is not None:
        raise item.error
    return stored.decode(content)


def find_or_make(backend: Backend, url: str) -> Parameters:
    """The parameters of the store that is there, or is there now; of several who make it at once one wins.

    Raises:
        FormatError: As for find().
    """
    try:
        return find(backend, url)
    except (errors.StoreNotFound, errors.AccessDenied) as error:
        # Who may not list a bucket is told 403 of what is not there. What is there the condition leaves as it is.
        content = stored.encode(Parameters.new())
        (item,) = backend.write([Write(stored.NAME, (content,), if_none_match=True)])
        if item.error is not None and not isinstance(item.error, errors.Modified):
            raise item.error from error
    # Also after our own write: a server without conditions may have let another one overwrite it.
    return find(backend, url)
