"""What is left of flytekitplugins-perian-job in a definition, and the same thing as ours.

Its ``PerianConfig`` has our name and seven of our fields, so that an import that was not changed is
easily missed. It is known by its class: the plugin is not imported, and need not be installed.
"""

from collections.abc import Iterable, Mapping

from perian_shim.config import DEFAULT_SECRET_GROUP
from perian_shim.definition.task_pod import SECRET_KEYS
from perian_shim.secret_keys import create_command

MODULE = "flytekitplugins.perian_job"
PACKAGE = "flytekitplugins-perian-job"

FIELDS = (
    *("cores", "memory", "accelerators", "accelerator_type", "os_storage_size"),
    *("country_code", "provider"),
)


def is_config(given: object) -> bool:
    """Whether this is a ``PerianConfig`` of the plugin's."""
    return any(
        kind.__name__ == "PerianConfig" and f"{kind.__module__}.".startswith(f"{MODULE}.")
        for kind in type(given).__mro__
    )


def wrong_config(given: object, module: str = "perian_shim") -> str | None:
    """Return what is wrong about a ``PerianConfig`` of the plugin's, None if this is none.

    Args:
        given: what was given as a config.
        module: where ours is to be imported from.
    """
    if not is_config(given):
        return None
    return f"{changed_import(module)}. The same as ours: PerianConfig({written(asked_of(given))})"


def wrong_settings(settings: Mapping[str, object]) -> str | None:
    """Return what is wrong about an environment's settings with such a config, None if it has none.

    Args:
        settings: the settings, by name. An environment takes no config of any kind.
    """
    found = next(((name, each) for name, each in settings.items() if is_config(each)), None)
    if found is None:
        return None
    name, config = found
    asked = asked_of(config)
    resources: dict[str, object] = {}
    if "cores" in asked:
        resources["cpu"] = asked["cores"]
    if "memory" in asked:
        resources["mem"] = f"{asked['memory']}Gi"
    number, kind = asked.get("accelerators"), asked.get("accelerator_type")
    if number or kind:
        resources["gpu"] = f"{kind}:{number}" if number and kind else number or kind
    if "os_storage_size" in asked:
        resources["disk"] = f"{asked['os_storage_size']}Gi"
    parts = [f"resources=Resources({written(resources)})"] if resources else []
    parts += [written({key: asked[key]}) for key in ("country_code", "provider") if key in asked]
    told = changed_import("perian_shim", "Resources")
    return f"{name}: {told}. The same as settings of an environment: {', '.join(parts)}"


def changed_import(module: str, name: str = "PerianConfig") -> str:
    """Return which import was not changed."""
    return (
        f"this is the PerianConfig of {PACKAGE}, whose tasks go to its connector. Change the import"
        f" `from {MODULE} import PerianConfig` to `from {module} import {name}`"
    )


def asked_of(config: object) -> dict[str, object]:
    """Return what a config of the plugin's asks for: to it, 0 and "" are nothing as well."""
    return {name: value for name in FIELDS if (value := getattr(config, name, None))}


def written(values: Mapping[str, object]) -> str:
    """Return values as arguments of a call."""
    return ", ".join(f"{name}={value!r}" for name, value in values.items())


def groupless(key: str) -> str:
    """Return what to write instead of a secret that has no group, as the connector reads them.

    Args:
        key: the secret's key.
    """
    if key.lower() not in SECRET_KEYS:
        return f"{key!r} has no group; name the Kubernetes secret it is in, by Secret(group=…)"
    return (
        f"{key!r} has no group, as the connector of {PACKAGE} reads it. Leave it out: a task's pod"
        f" reads it by itself, from the group {DEFAULT_SECRET_GROUP!r} or the one that"
        " PerianConfig(secret_group=…) names. Create that secret in each project's namespace:"
        f" {create_command(DEFAULT_SECRET_GROUP, key.lower())}"
    )


def wrong_packages(packages: Iterable[object]) -> str | None:
    """Return what is wrong about the packages of a function's image, None if it is not this.

    Args:
        packages: requirements, as an ``ImageSpec`` names them.
    """
    for package in packages:
        if str(package).lower().replace("_", "-").startswith(PACKAGE):
            return (
                f"its image is built with {package}, and the job needs perian-shim; name that in"
                " its place"
            )
    return None
