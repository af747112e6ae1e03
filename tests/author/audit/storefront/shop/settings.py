"""The settings of a Django shop, in the style of saleor."""

import ast
import os.path
from os import environ as variables, getenv as read

import dj_database_url

PREFIX = "SHOP_"
KEY = "RSA_KEY"


def get_list(text):
    return [item.strip() for item in text.split(",")]


def get_bool(name, default):
    if name in os.environ:
        value = os.environ[name]
        try:
            return ast.literal_eval(value)
        except ValueError as error:
            raise ValueError(f"{value} is invalid for {name}") from error
    return default


DEBUG = get_bool("DEBUG", True)
HOSTS = get_list(os.environ.get("ALLOWED_HOSTS", "localhost,127.0.0.1"))
DATABASES = {
    "default": dj_database_url.config(default="postgres://shop@localhost/shop"),
    "replica": dj_database_url.config(env="REPLICA_URL", default="postgres://shop@localhost/shop"),
}
EMAIL_URL = os.environ.get("EMAIL_URL")
MAX = int(os.environ.get("MAX_LINES", 50))
BROKER = os.environ.get("BROKER_URL", os.environ.get("CLOUDAMQP_URL")) or ""
if "CREDENTIALS_FILE" in os.environ:
    CREDENTIALS = os.environ.get("CREDENTIALS")
NAME = variables[PREFIX + "NAME"]
RSA = read(KEY)
RSA_PASSWORD = variables.get(f"{KEY}_PASSWORD")
TOKEN = os.environ.pop("ONE_TIME_TOKEN", None)
os.environ.setdefault("SHOP_REGION", "eu")
variables["PROCESSED"] = variables["INPUT"]
del os.environ["INPUT"]
SAME = [key for key in os.environ if key.startswith("SHOP_")]
LEVEL = (
    os.environ
    .get("LOG_LEVEL", "INFO")
    .upper()
)
WORDS = os.environ["WORDS"].split(","); SEED = os.environ["SEED"]
