"""Checks of the arguments of flytekit's tasks: what only flytekit has, the rest is ``Checks``."""

from collections.abc import Callable, Mapping

from flyteidl.core.types_pb2 import LiteralType
from flytekit import ImageSpec, Secret
from flytekit.core.resources import ResourceSpec
from flytekit.models.interface import Variable

from perian_shim.definition import official
from perian_shim.definition.checks import Checks
from perian_shim.spec import ForwardedSecret


class Checker(Checks):
    """Checks the arguments of one task of flytekit's."""

    def image(self, image: object) -> None:
        """Expect an image reference or an ``ImageSpec``."""
        if isinstance(image, ImageSpec):
            return
        if not isinstance(image, str) or not image:
            raise self.wrong(f"image: expected an image reference or an ImageSpec, got {image!r}")
        if "{{" not in image:  # else flytekit's {{.image.default.fqn}}, filled when registered
            self.reference(image)

    def resources(self, make: Callable[[], ResourceSpec]) -> ResourceSpec:
        """Expect quantities that make resources."""
        try:
            return make()
        except ValueError as error:
            raise self.wrong(str(error)) from error

    def secret(self, secret: object) -> ForwardedSecret:
        """Expect one secret with group and key."""
        if isinstance(secret, Secret) and secret.key and not secret.group:
            raise self.wrong(f"{self.SECRETS}: {official.groupless(secret.key)}")
        if not isinstance(secret, Secret) or not secret.key or not secret.group:
            return super().secret(secret)
        as_file = secret.mount_requirement == Secret.MountType.FILE
        return ForwardedSecret(secret.group, secret.key, secret.env_var, as_file)


def types_of(variables: Mapping[str, Variable]) -> dict[str, LiteralType]:
    """Return the types of inputs or outputs."""
    return {name: variable.type.to_flyte_idl() for name, variable in variables.items()}
