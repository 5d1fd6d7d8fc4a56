"""DATABASE_URL as Django wants it."""

from urllib.parse import parse_qsl, unquote


def parse(url):
    """The entry of DATABASES for a URL postgresql://user:password@host:port/name?option=x.
    Several hosts (h1:5432,h2:5433) and ?host= for a socket are libpq's."""
    scheme, _, rest = url.partition("://")
    if scheme not in ("postgres", "postgresql"):
        raise ValueError("DATABASE_URL must begin with postgresql://")
    rest, _, query = rest.partition("?")
    place, _, name = rest.partition("/")
    login, at, hosts = place.rpartition("@")
    user, _, password = login.partition(":")
    options = dict(parse_qsl(query))
    names, ports = [], []
    for host in filter(None, hosts.split(",")):
        head, colon, tail = host.rpartition(":")
        numbered = colon and tail.isdigit()
        names.append(unquote((head if numbered else host).strip("[]")))
        ports.append(tail if numbered else "5432")
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": unquote(name) or options.pop("dbname", ""),
        "USER": unquote(user) or options.pop("user", ""),
        "PASSWORD": unquote(password) or options.pop("password", ""),
        "HOST": options.pop("host", "") or ",".join(names),
        "PORT": options.pop("port", "") or ",".join(ports),
        "CONN_MAX_AGE": 60,
        "OPTIONS": options,
    }
