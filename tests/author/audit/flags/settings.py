"""The settings of small services with python-decouple and environs."""

import decouple
from decouple import Csv, config as conf
from environs import Env

DEBUG = conf("DEBUG", default=False, cast=bool)
HOSTS = conf("HOSTS", default="a,b", cast=Csv())
KEY = conf("KEY")
WHOLE = decouple.config("WHOLE", cast=int)

env = Env()
env.read_env()
NAME = env("NAME")
TTL = env.timedelta("TTL", default=None)
MAX = env.int("MAX", 3)
CODES = env.list("CODES", subcast=int)
with env.prefixed("MAIL_"):
    HOST = env.str("HOST")
    with env.prefixed("BACKUP_"):
        BACKUP = env("HOST", "backup")
    PORT = env.int("PORT", 25)
LAST = env.bool("LAST", False)
