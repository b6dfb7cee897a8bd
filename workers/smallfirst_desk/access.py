"""Access: the ways by which people sign in, as the settings say; what cannot be safe is refused."""

from collections.abc import Iterator
from dataclasses import dataclass

from smallfirst.errors import SettingsError, SettingsProblem
from smallfirst.settings import DeskSettings, variable_of
from smallfirst_desk.oidc import Oidc, OidcSettings, is_safe
from smallfirst_desk.proxy import TrustedProxy, networks_of

#: Where a provider sends people back to, below the desk's own address.
CALLBACK = "/sign-in/oidc/back"


@dataclass(frozen=True)
class Access:
    """The ways to sign in beside a password.

    Attributes:
        proxy: Says who asks; None where there is none.
        oidc: The provider; None where there is none.
        url: Under which people reach the desk; empty where nobody said.
    """

    proxy: TrustedProxy | None = None
    oidc: Oidc | None = None
    url: str = ""


def access_of(settings: DeskSettings) -> Access:
    """Read the ways to sign in.

    Raises:
        SettingsError: When one lacks something, or would not be safe; all faults at once.
    """
    problems = [*_proxy_problems(settings), *_oidc_problems(settings)]
    if problems:
        raise SettingsError(*problems)
    header, url = settings.desk_proxy_header, (settings.desk_url or "").rstrip("/")
    proxy = TrustedProxy(header, networks_of(settings.desk_proxy_from)) if header else None
    return Access(proxy, _oidc(settings, url), url)


def _proxy_problems(settings: DeskSettings) -> Iterator[SettingsProblem]:
    if settings.desk_proxy_header and not settings.desk_proxy_from:
        yield _problem(
            "desk_proxy_from",
            "is needed beside SMALLFIRST_DESK_PROXY_HEADER: the addresses of the proxy, since"
            " anybody else could say the header too",
        )
    if settings.desk_proxy_from and not settings.desk_proxy_header:
        yield _problem("desk_proxy_header", "is needed beside SMALLFIRST_DESK_PROXY_FROM")


def _oidc_problems(settings: DeskSettings) -> Iterator[SettingsProblem]:
    if settings.desk_oidc_issuer is None:
        for name in ("desk_oidc_client_id", "desk_oidc_secret_file"):
            if getattr(settings, name) is not None:
                yield _problem("desk_oidc_issuer", f"is needed beside {variable_of(name)}")
        return
    for name in ("desk_oidc_client_id", "desk_url"):
        if not getattr(settings, name):
            yield _problem(name, "is needed beside SMALLFIRST_DESK_OIDC_ISSUER")
    if settings.desk_secret is None:
        yield _problem(
            "desk_secret",
            "is needed beside SMALLFIRST_DESK_OIDC_ISSUER: the desk that people come back to must"
            " know what the one that sent them signed",
        )
    for name in ("desk_oidc_issuer", "desk_url"):
        if (url := getattr(settings, name)) and not is_safe(url):
            yield _problem(name, "must begin with https://, but for this machine's own address")


def _oidc(settings: DeskSettings, url: str) -> Oidc | None:
    if settings.desk_oidc_issuer is None:
        return None
    assert settings.desk_oidc_client_id is not None
    return Oidc(
        OidcSettings(
            issuer=settings.desk_oidc_issuer,
            client_id=settings.desk_oidc_client_id,
            client_secret=_client_secret(settings),
            redirect_uri=f"{url}{CALLBACK}",
            claim=settings.desk_oidc_claim,
        )
    )


def _client_secret(settings: DeskSettings) -> str | None:
    if settings.desk_oidc_secret_file is None:
        return None
    try:
        secret = settings.desk_oidc_secret_file.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        rule = f"cannot be read: {type(error).__name__}"
        raise SettingsError(_problem("desk_oidc_secret_file", rule)) from error
    if not secret:
        raise SettingsError(_problem("desk_oidc_secret_file", "must hold the secret, not nothing"))
    return secret


def _problem(field: str, rule: str) -> SettingsProblem:
    return SettingsProblem(variable_of(field), rule)
