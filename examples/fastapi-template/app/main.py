"""The service's endpoints."""

from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.config import settings
from app.db import User, engine

app = FastAPI(title=settings.PROJECT_NAME)
app.add_middleware(
    CORSMiddleware,
    allow_origins=settings.cors_origins,
    allow_credentials=True,
    allow_methods=["*"],
    allow_headers=["*"],
)


@app.get("/api/v1/utils/health-check/")
def health_check() -> bool:
    return True


@app.get("/api/v1/utils/users/")
def number_of_users() -> int:
    with Session(engine) as session:
        return session.scalar(select(func.count()).select_from(User)) or 0
