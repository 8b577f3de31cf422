"""A token service that takes web identities, in front of an AWS that drops their session policy.

It looks at the token's subject, then has the role assumed with the very policy and duration that it
was asked for: what the keys can do is decided by the AWS behind it.
"""

import base64
import json
from urllib.parse import parse_qsl
from xml.sax.saxutils import escape

from support.front import Exchange, Front
from support.ministack import Ministack, allow

from perian_shim.sandbox.server.application import Response

SUBJECT = "system:serviceaccount:flyte:default"

REFUSED = (
    "<ErrorResponse><Error><Type>Sender</Type><Code>InvalidIdentityToken</Code>"
    "<Message>No such subject</Message></Error></ErrorResponse>"
)


def web_token(subject: str = SUBJECT) -> str:
    """Return a service account's token, of which only the claims are looked at."""
    claims = json.dumps({"sub": subject}).encode()
    return ".".join(base64.urlsafe_b64encode(part).decode() for part in (b"{}", claims, b"x"))


class TokenDesk(Front):
    """Trades web identities for keys while entered.

    Args:
        aws: the AWS behind it.
    """

    def __init__(self, aws: Ministack) -> None:
        super().__init__(behind=self.trade)
        self.sts = aws.client("sts", aws.user(allow("sts:AssumeRole")))

    def trade(self, exchange: Exchange) -> Response:
        """Answer AssumeRoleWithWebIdentity."""
        asked = dict(parse_qsl(exchange.request.body.decode()))
        assert asked["Action"] == "AssumeRoleWithWebIdentity"
        claims = base64.urlsafe_b64decode(asked["WebIdentityToken"].split(".")[1])
        if json.loads(claims)["sub"] != SUBJECT:
            return Response(400, REFUSED.encode(), {"Content-Type": "text/xml"})
        given = {name: asked[name] for name in ("RoleArn", "RoleSessionName", "Policy")}
        made = self.sts.assume_role(**given, DurationSeconds=int(asked["DurationSeconds"]))
        made = made["Credentials"] | {"Expiration": f"{made['Credentials']['Expiration']:%FT%TZ}"}
        fields = "".join(f"<{name}>{escape(value)}</{name}>" for name, value in made.items())
        text = f"<Credentials>{fields}</Credentials>"
        for ending in ("Result", "Response"):
            text = f"<{asked['Action']}{ending}>{text}</{asked['Action']}{ending}>"
        return Response(200, text.encode(), {"Content-Type": "text/xml"})
