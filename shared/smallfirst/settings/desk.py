"""What the review desk is set by."""

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field, SecretStr, StringConstraints

from smallfirst.settings.components import Settings
from smallfirst.settings.fields import ADDRESS_PATTERN, HealthDir, expanded, networks


class DeskSettings(Settings):
    """What the review desk needs besides."""

    desk_host: str = Field(
        default="127.0.0.1", min_length=1, description="The address on which the desk is served."
    )
    desk_port: int = Field(
        default=8470, ge=1, le=65_535, description="The port on which the desk is served."
    )
    desk_users: Annotated[Path, AfterValidator(expanded)] = Field(
        default=Path("desk-users.yaml"),
        description="The file of those who may sign in, YAML or JSON; `smallfirst desk add-user`"
        " writes it.",
    )
    desk_secret: Annotated[SecretStr, Field(min_length=32)] | None = Field(
        default=None,
        description="The key by which sessions are signed, 32 characters or more; all desks of a"
        " fleet share it. Where it is not set, each start makes one, and people sign in anew.",
    )
    desk_lease_seconds: float = Field(
        default=120.0,
        ge=2,
        le=600,
        description="The time for which a person has a job in hand; an open page renews it.",
    )
    desk_undo_seconds: float = Field(
        default=5.0,
        ge=0,
        le=60,
        description="The time for which a decision may be taken back, and its result waits.",
    )
    desk_session_hours: float = Field(
        default=12.0, gt=0, le=720, description="The time after which people sign in anew."
    )
    desk_answers: Annotated[Path, AfterValidator(expanded)] | None = Field(
        default=None,
        description="The folder in which answers are kept as rows, texts and all, for `smallfirst"
        " export`. Where it is not set, none are.",
    )
    desk_log: Annotated[Path, AfterValidator(expanded)] | None = Field(
        default=None,
        description="The folder in which it is recorded who did what to which job, without a text,"
        " for `smallfirst desk verify-log`; desks may share it. Where it is not set, nothing is.",
    )
    desk_https: bool = Field(
        default=False,
        description="Whether people reach the desk over HTTPS alone, so that its cookies are sent"
        " over nothing else.",
    )
    desk_url: Annotated[str, StringConstraints(pattern=ADDRESS_PATTERN)] | None = Field(
        default=None,
        description="The address under which people reach the desk, such as"
        " https://desk.example.com; needed where they sign in at a provider.",
    )
    desk_proxy_header: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9-]+$")] | None = Field(
        default=None,
        description="The header in which a trusted proxy, that has signed people in, says who asks;"
        " where it is not set, no header says so.",
    )
    desk_proxy_from: Annotated[str, AfterValidator(networks)] = Field(
        default="",
        description="The addresses or networks of that proxy, commas between them; from nobody"
        " else the header is believed.",
    )
    desk_oidc_issuer: Annotated[str, StringConstraints(pattern=ADDRESS_PATTERN)] | None = Field(
        default=None,
        description="The provider of OpenID Connect at which people sign in, by its own name, such"
        " as https://id.example.com/realm.",
    )
    desk_oidc_client_id: Annotated[str, Field(min_length=1)] | None = Field(
        default=None, description="The desk's name at that provider."
    )
    desk_oidc_secret_file: Annotated[Path, AfterValidator(expanded)] | None = Field(
        default=None,
        description="The file with the desk's secret at that provider; none for a public client.",
    )
    desk_oidc_claim: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_:./-]+$")] = Field(
        default="sub",
        description="The claim that names a person; it is compared with `known_as` in the file of"
        " users, or else with the name.",
    )
    health_dir: HealthDir = None
