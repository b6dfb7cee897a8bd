"""Every setting of every component: one frozen class each, read from `SMALLFIRST_*` variables.

A value comes from the command line, else from the environment, else from a file of the secrets
directory (`smallfirst_redis_url`), else it is the default here. An empty variable counts as unset.
One environment may serve all components: each takes what is its own, and a name that none of them
knows is refused, since a setting that does nothing is worse than an error.
"""

from smallfirst.settings.audit_log import AuditLogSettings
from smallfirst.settings.components import (
    ExporterSettings,
    FlowerSettings,
    MetricsSettings,
    ProducerSettings,
    RouterSettings,
    Settings,
    TracedSettings,
    WorkerSettings,
)
from smallfirst.settings.desk import DeskSettings
from smallfirst.settings.fields import MAX_SLICES
from smallfirst.settings.loading import (
    COMPONENTS,
    SECRETS_DIR,
    known_variables,
    load_settings,
    variable_of,
)

__all__ = [
    "COMPONENTS",
    "MAX_SLICES",
    "SECRETS_DIR",
    "AuditLogSettings",
    "DeskSettings",
    "ExporterSettings",
    "FlowerSettings",
    "MetricsSettings",
    "ProducerSettings",
    "RouterSettings",
    "Settings",
    "TracedSettings",
    "WorkerSettings",
    "known_variables",
    "load_settings",
    "variable_of",
]
