"""Sessions: tokens that the front end signs and we verify. Nothing works without the key they share."""

import os

import jwt
from fastapi import Header, HTTPException

try:
    _SECRET = os.environ["NEXTAUTH_SECRET"]
except KeyError:
    raise RuntimeError("NEXTAUTH_SECRET is not set") from None
if not _SECRET:
    raise RuntimeError("NEXTAUTH_SECRET is empty")

_ALGORITHM = os.environ.get("JWT_ALGORITHM", "HS256")


def current_user(authorization: str = Header(default="")) -> str:
    """The user of the session in the Authorization header; 401 when there is none."""
    scheme, _, token = authorization.partition(" ")
    try:
        if scheme.lower() != "bearer":
            raise jwt.InvalidTokenError
        return str(jwt.decode(token, _SECRET, algorithms=[_ALGORITHM])["sub"])
    except (jwt.InvalidTokenError, KeyError):
        raise HTTPException(status_code=401, detail="a valid session is needed") from None
