"""A service that counts its visitors."""

import os

from fastapi import FastAPI
from sqlalchemy import create_engine, text

app = FastAPI()
# `postgresql://` alone would mean psycopg2.
engine = create_engine(os.environ["DATABASE_URL"].replace("postgresql://", "postgresql+psycopg://", 1))


@app.get("/health")
def health() -> str:
    return "ok"


@app.get("/")
def greet() -> str:
    with engine.begin() as connection:
        number = connection.scalar(text("INSERT INTO visits DEFAULT VALUES RETURNING id"))
    return f"{os.environ['GREETING']}, visitor {number}"
