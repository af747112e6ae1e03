"""The service's endpoints."""

import os
from typing import Annotated

from fastapi import Depends, FastAPI
from fastapi.middleware.cors import CORSMiddleware
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.auth import current_user
from app.database import Offer, session

SERVICE = "intowork-backend"

app = FastAPI(title=SERVICE)
app.add_middleware(
    CORSMiddleware,
    allow_origins=[origin.strip() for origin in os.environ.get("ALLOWED_ORIGINS", "").split(",")],
    allow_methods=["*"],
    allow_headers=["*"],
)


class NewOffer(BaseModel):
    title: Annotated[str, Field(min_length=1, max_length=200)]
    city: Annotated[str | None, Field(max_length=100)] = None


class StoredOffer(NewOffer):
    model_config = ConfigDict(from_attributes=True)

    id: int


@app.get("/health")
def health() -> dict[str, str]:
    return {"status": "healthy", "service": SERVICE}


@app.get("/api")
def root() -> dict[str, str]:
    return {"service": SERVICE, "environment": os.environ.get("ENVIRONMENT", "unknown")}


@app.get("/api/offers")
def offers(database: Annotated[Session, Depends(session)]) -> list[StoredOffer]:
    found = database.scalars(select(Offer).order_by(Offer.id))
    return [StoredOffer.model_validate(offer) for offer in found]


@app.post("/api/offers", status_code=201)
def add_offer(new: NewOffer, database: Annotated[Session, Depends(session)]) -> StoredOffer:
    offer = Offer(title=new.title, city=new.city)
    database.add(offer)
    database.commit()
    return StoredOffer.model_validate(offer)


@app.get("/api/me")
def me(user: Annotated[str, Depends(current_user)]) -> dict[str, str]:
    return {"user": user}
